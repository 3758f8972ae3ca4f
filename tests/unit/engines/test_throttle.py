import asyncio

from reco.engines.personalize.throttle import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds > 1e-6:
            self.slept.append(round(seconds, 6))


def test_a_second_of_calls_may_go_at_once_and_the_rest_one_by_one() -> None:
    async def scenario() -> None:
        clock = Clock()
        bucket = TokenBucket(5, lambda: clock.now, clock.sleep)
        for _ in range(8):
            await bucket.take()
        assert clock.slept == [0.2, 0.4, 0.6]

    asyncio.run(scenario())


def test_over_any_longer_time_the_rate_holds() -> None:
    async def scenario() -> None:
        clock = Clock()
        bucket = TokenBucket(5, lambda: clock.now, clock.sleep)
        passed = 0
        for _ in range(100):
            clock.slept.clear()
            while not clock.slept:
                await bucket.take()
                passed += 1
            clock.now += 1.0
        assert 500 <= passed <= 610

    asyncio.run(scenario())


def test_the_lowest_limit_of_those_who_share_a_bucket_holds_until_it_is_raised() -> None:
    async def scenario() -> None:
        clock = Clock()
        bucket = TokenBucket(100, lambda: clock.now, clock.sleep)
        bucket.limit("careful", 1)
        bucket.limit("hasty", 50)
        for _ in range(3):
            await bucket.take()
        assert clock.slept == [1.0, 2.0]
        clock.now += 10
        clock.slept.clear()
        bucket.limit("careful", 4)
        for _ in range(5):
            await bucket.take()
        assert clock.slept == [0.25]

    asyncio.run(scenario())
