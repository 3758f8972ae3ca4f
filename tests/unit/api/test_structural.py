from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from reco.api.base import ApiModel, Must, immutable, rules, without_default
from reco.api.crds import crd
from reco.api.kinds import KINDS, Kind
from reco.api.structural import NotStructuralError, lint, reflow, structural

Text = Annotated[str, StringConstraints(max_length=9)]
Number = Annotated[int, Field(ge=0, le=9)]


class Tree(ApiModel):
    """A thing that contains itself."""

    branches: Annotated[list["Tree"], Field(max_length=9)]
    """More."""


class Inner(ApiModel):
    """An inner thing."""

    size: Number = 3
    """How big."""
    word: Text | None = None
    """A word."""


def field(annotation: Any, default: Any = ..., **extra: Any) -> dict[str, Any]:
    """Return the structural schema of a model's one field."""
    model: type[BaseModel] = type(
        "Outer",
        (ApiModel,),
        {
            "__annotations__": {"it": annotation},
            "__module__": __name__,
            "__doc__": "An outer thing.",
            "it": Field(default, description="It.", **extra),
        },
    )
    schema = structural(model)
    node: dict[str, Any] = schema["properties"]["it"]
    return {key: value for key, value in node.items() if key != "description"}


INNER = {
    "type": "object",
    "properties": {
        "size": {
            "description": "How big.",
            "type": "integer",
            "format": "int32",
            "default": 3,
            "minimum": 0,
            "maximum": 9,
        },
        "word": {"description": "A word.", "type": "string", "maxLength": 9},
    },
}


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        pytest.param(
            Text | None, None, {"type": "string", "maxLength": 9}, id="optional is absent, not null"
        ),
        pytest.param(Inner, ..., INNER, id="references are inlined"),
        pytest.param(
            Inner, Inner(), INNER | {"default": {"size": 3}}, id="default objects without nulls"
        ),
        pytest.param(
            Literal["a"], ..., {"type": "string", "enum": ["a"]}, id="a constant is an enum"
        ),
        pytest.param(
            Annotated[int, Field(gt=0, lt=9)],
            ...,
            {
                "type": "integer",
                "format": "int32",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 9,
                "exclusiveMaximum": True,
            },
            id="exclusive bounds are flags",
        ),
        pytest.param(
            Annotated[int, Field(ge=0, le=2**40)],
            ...,
            {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**40},
            id="large numbers say so",
        ),
        pytest.param(
            Annotated[set[Text], Field(max_length=3)],
            ...,
            {
                "type": "array",
                "items": {"type": "string", "maxLength": 9},
                "maxItems": 3,
                "x-kubernetes-list-type": "set",
            },
            id="unique items are a set",
        ),
        pytest.param(
            Annotated[list[Text], Field(max_length=3)],
            ...,
            {
                "type": "array",
                "items": {"type": "string", "maxLength": 9},
                "maxItems": 3,
                "x-kubernetes-list-type": "atomic",
            },
            id="other lists are atomic",
        ),
        pytest.param(
            Any, ..., {"x-kubernetes-preserve-unknown-fields": True}, id="anything is kept"
        ),
        pytest.param(
            dict[str, Any],
            ...,
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="any object is kept",
        ),
        pytest.param(
            Annotated[dict[Text, Text], Field(max_length=3)],
            ...,
            {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 9},
                "maxProperties": 3,
                "x-kubernetes-validations": [
                    {
                        "rule": "self.all(key, size(key) >= 0 && size(key) <= 9)",
                        "message": "keys must have 0 to 9 characters",
                    }
                ],
            },
            id="keys of maps are checked by CEL",
        ),
        pytest.param(
            Annotated[str, StringConstraints(max_length=9, pattern="^a$"), Must("must be 'a'")],
            ...,
            {
                "type": "string",
                "maxLength": 9,
                "x-kubernetes-validations": [
                    {"rule": "self.matches(r'^a$')", "message": "must be 'a'"}
                ],
            },
            id="a pattern is told in words",
        ),
    ],
)
def test_what_pydantic_writes_becomes_structural(
    annotation: Any, default: Any, expected: dict[str, Any]
) -> None:
    assert field(annotation, default) == expected


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        pytest.param(str, "it: string without maxLength", id="string"),
        pytest.param(int, "it: integer without minimum", id="integer"),
        pytest.param(list[Text], "it: array without maxItems", id="list"),
        pytest.param(dict[str, Text], "it: object without maxProperties", id="map"),
        pytest.param(
            Annotated[list[str], Field(max_length=1)],
            r"it\.\[\]: string without maxLength",
            id="items of a list",
        ),
        pytest.param(float, "it: floats don't survive a round trip", id="float"),
        pytest.param(int | str, "it: a union of types", id="union"),
        pytest.param(tuple[Text, Text], "it: a CRD has no prefixItems", id="tuple"),
        pytest.param(Tree, "Tree contains itself", id="recursion"),
    ],
)
def test_what_a_crd_cannot_express_or_bound_is_refused_by_name(annotation: Any, text: str) -> None:
    with pytest.raises(NotStructuralError, match=text):
        field(annotation)


def test_a_field_without_a_description_is_refused() -> None:
    class Silent(ApiModel):
        it: Text

    with pytest.raises(NotStructuralError, match="it: no description"):
        structural(Silent)


def test_immutable_fields_are_guarded_from_the_root_where_their_absence_is_seen() -> None:
    class Part(ApiModel):
        """A part."""

        fixed: Text | None = Field(
            default=None, description="F.", json_schema_extra=immutable("make a new part")
        )

    class Whole(ApiModel):
        """A whole."""

        always: Text = Field(description="A.", json_schema_extra=immutable("make a new one"))
        part: Part | None = Field(default=None, description="P.")

    always, fixed = structural(Whole)["x-kubernetes-validations"]

    assert always == {
        "rule": "self.always == oldSelf.always",
        "message": "must not be changed after creation: make a new one",
        "fieldPath": ".always",
        "reason": "FieldValueForbidden",
    }
    there = "(has(self.part) && has(self.part.fixed))"
    before = "(has(oldSelf.part) && has(oldSelf.part.fixed))"
    assert fixed == {
        "rule": f"{there} == {before} && (!{there} || self.part.fixed == oldSelf.part.fixed)",
        "message": "must not be added, changed or removed after creation: make a new part",
        "fieldPath": ".part.fixed",
        "reason": "FieldValueForbidden",
    }


def test_an_immutable_field_of_a_list_item_is_refused() -> None:
    class Part(ApiModel):
        """A part."""

        fixed: Text = Field(description="F.", json_schema_extra=immutable("make a new part"))

    with pytest.raises(NotStructuralError, match="make the list or map around it immutable"):
        field(Annotated[list[Part], Field(max_length=3)])


def test_rules_of_a_model_and_of_its_field_add_up() -> None:
    class Part(ApiModel):
        """A part."""

        model_config = ConfigDict(json_schema_extra=rules(("self.a == 1", "a must be 1")))
        a: Number
        """A."""

    node = field(Part, json_schema_extra=rules(("self.a != 2", "a must not be 2")))

    assert [rule["message"] for rule in node["x-kubernetes-validations"]] == [
        "a must be 1",
        "a must not be 2",
    ]


def test_a_default_can_stay_out_of_the_crd() -> None:
    assert "default" not in field(Inner, Inner(), json_schema_extra=without_default)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_clean_and_small_enough_to_apply(kind: Kind) -> None:
    definition = crd(kind)
    version = definition["spec"]["versions"][0]

    for part in ("spec", "status"):
        assert list(lint(version["schema"]["openAPIV3Schema"]["properties"][part])) == []
    # kubectl keeps what it applied in an annotation of at most 256 KiB.
    assert len(str(definition)) < 200_000


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_what_never_was_in_sync_can_be_edited_unless_a_job_or_class(kind: Kind) -> None:
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec_rules = schema["properties"]["spec"].get("x-kubernetes-validations", [])
    strict = [rule for rule in spec_rules if "oldSelf" in rule["rule"]]
    once_made = schema.get("x-kubernetes-validations", [])

    from_the_start = {"EngineClass", "DatasetImportJob", "SolutionVersion"}
    assert bool(strict) == (kind.name in from_the_start)
    assert bool(once_made) == (kind.name not in from_the_start)
    for rule in once_made:
        assert rule["rule"].startswith(
            "!has(oldSelf.status) || !has(oldSelf.status.external) || !has(oldSelf.status.applied)"
        )
        assert rule["fieldPath"].startswith(".spec")
        assert "once the external object was in sync" in rule["message"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_has_the_status_of_something_unseen_by_default(kind: Kind) -> None:
    version = crd(kind)["spec"]["versions"][0]

    assert version["subresources"] == {"status": {}}
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_column_and_selectable_field_of_a_kind_exists(kind: Kind) -> None:
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"]["properties"] = {"creationTimestamp": {"type": "string"}}

    for path in (*(column.json_path for column in kind.columns), *kind.selectable):
        node = schema
        for name in path.partition("[")[0].split(".")[1:]:
            node = node.get("properties", {}).get(name) or node["additionalProperties"]


def test_long_descriptions_are_cut_at_a_word() -> None:
    text = "one two\nthree.\n\nfour " + "x" * 50

    assert reflow(text) == "one two three.\n\nfour " + "x" * 50
    assert reflow(text, limit=30) == "one two three.\n\nfour ..."
