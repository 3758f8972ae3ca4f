"""The table of mutants: what each would do to a user, and the tests that must notice.

Rows are grouped by harm. A row whose text is not in the product any more fails `test_table`: mend
the row with the product, or drop it if what it guarded against can't happen any more.
"""

from tests.mutants import lost, money, rights
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (*money.MUTANTS, *rights.MUTANTS, *lost.MUTANTS)
