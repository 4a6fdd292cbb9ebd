"""Where the runs of measurements lie."""

import pytest

from xray.external.answers import MeasuredVersion
from xray.external.run_facts import experiment_of


@pytest.mark.parametrize(
    ("own", "measured_in"), [("xray", "xray-external"), ("xray-external", "xray-external"), ("", "xray-external")]
)
def test_a_recalibrated_version_is_measured_where_its_parent_is(own: str, measured_in: str) -> None:
    assert experiment_of(MeasuredVersion("m", "1", "d", None, {}, None, own)) == measured_in
