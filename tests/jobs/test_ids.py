"""One rule for ids, wherever they come from."""

import pytest

from jobs.errors import InvalidPayload
from jobs.ids import check_job_id, check_tenant_id


@pytest.mark.parametrize("job_id", ["a", "7", "order-1", "Order-1.2_3:4@example", "a" * 128])
def test_an_id_of_the_callers_is_kept_as_it_is(job_id: str) -> None:
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize(
    "job_id",
    ["", "a" * 129, "a/b", "..", "-x", "a b", "a\n", "a\x1fb", "\u00e4", "\u0661", 7, None, b"a"],
)
def test_what_could_not_be_part_of_an_address_or_key_is_refused(job_id: object) -> None:
    with pytest.raises(InvalidPayload, match=r"^job_id must be 1 to 128 letters, digits and \._:@-"):
        check_job_id(job_id)


@pytest.mark.parametrize("tenant", ["a", "Acme & S\u00f6hne", "t" * 100])
def test_a_tenant_is_any_printable_name(tenant: str) -> None:
    assert check_tenant_id(tenant) == tenant


@pytest.mark.parametrize("tenant", ["", "t" * 101, "a\nb", "a\x7fb", "a\x1fb", 7, None])
def test_a_tenant_that_cannot_be_printed_is_refused(tenant: object) -> None:
    with pytest.raises(InvalidPayload, match=r"^tenant_id must be 1 to 100 printable characters"):
        check_tenant_id(tenant)
