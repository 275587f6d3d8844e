"""What ids, tenants and gates may look like, and how a tenant's ids are kept apart from another's."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidPayload
from jobs.ids import check_gate, check_job_id, check_stored_id, check_tenant_id, scoped_id

TENANTS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=100)
GIVEN_IDS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z")


@pytest.mark.parametrize(
    ("tenant", "stored"),
    [
        ("", "invoice-7"),
        ("acme", "acme~invoice-7"),
        ("acme.eu:1@x_y-z", "acme.eu:1@x_y-z~invoice-7"),
        ("acme corp", "acme=20corp~invoice-7"),
        ("a/b", "a=2Fb~invoice-7"),
        ("a=20b", "a=3D20b~invoice-7"),
        ("a~b", "a=7Eb~invoice-7"),
        ("..", "=2E.~invoice-7"),
        ("-x", "=2Dx~invoice-7"),
        ("Ärzte", "=C3=84rzte~invoice-7"),
    ],
)
def test_a_tenants_id_has_the_tenant_before_it(tenant: str, stored: str) -> None:
    assert scoped_id(tenant, "invoice-7") == stored
    assert check_stored_id(stored) == stored


@given(tenant=TENANTS, job_id=GIVEN_IDS)
def test_a_stored_id_needs_no_quoting_whatever_the_tenant_is_called(tenant: str, job_id: str) -> None:
    stored = scoped_id(check_tenant_id(tenant), check_job_id(job_id))
    assert check_stored_id(stored) == stored
    assert quote(stored, safe="=:@") == stored, "it is one part of an address as it is"
    assert stored.rpartition("~")[2] == job_id
    assert len(stored) <= 229, "the lease helper's slots hold 246 bytes"


@given(one=TENANTS, other=TENANTS, first=GIVEN_IDS, second=GIVEN_IDS)
def test_two_tenants_never_have_the_same_id(one: str, other: str, first: str, second: str) -> None:
    assert (scoped_id(one, first) == scoped_id(other, second)) == ((one, first) == (other, second))


def test_a_long_name_in_another_script_is_shortened_and_still_its_own() -> None:
    ids = {scoped_id("集" * 99 + letter, "1") for letter in "团团队"}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[A-Z0-9=]{66}==[0-9a-f]{32}~1", one) for one in ids)


@pytest.mark.parametrize(
    "wrong",
    ["", "a/b", "a b", "a~", "~a", "a~b~c", "a=b", "-a", "..", "a~-b", "é", "a\n", "x" * 129, 7, None],
)
def test_what_could_be_no_jobs_id_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidPayload, match="a job's id is 1 to 128 letters"):
        check_stored_id(wrong)


@pytest.mark.parametrize("wrong", ["acme~7", "a=7", "", " ", "a/b", "-a", 7, None])
def test_a_caller_cannot_give_an_id_of_a_tenant(wrong: Any) -> None:
    with pytest.raises(InvalidPayload, match="job_id must be 1 to 128 letters"):
        check_job_id(wrong)


def test_a_gate_is_printable_text_and_no_name_that_unique_jobs_use() -> None:
    assert [check_gate(name) for name in ("gmail:acct-7", "one:printer", "Büro 4")]
    for wrong in ("", "a\nb", "a\x1fb", "x" * 101, 7, None):
        with pytest.raises(InvalidPayload, match="gate must be 1 to 100 printable characters"):
            check_gate(wrong)
    with pytest.raises(InvalidPayload, match="gate must not begin with one:unique:"):
        check_gate("one:unique:email_sync:abc")
