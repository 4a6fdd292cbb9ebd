"""A run says where the flow run that made it is shown."""

from collections.abc import Callable

from xray.config import Workspace
from xray.tracking.flow_run_link import PAGE_TAG, link
from xray.tracking.tracker import Tracker
from xray.tracking.ui_views import NOTE_TAG

PAGE = "http://127.0.0.1:4200/runs/flow-run/1"


def test_the_page_is_a_tag_and_a_link_in_the_description(opened: Callable[[], Tracker], workspace: Workspace) -> None:
    client, run_id = opened().require()
    client.set_tag(run_id, NOTE_TAG, "# card\n")
    for _ in range(2):
        link(workspace, run_id, PAGE.replace("//", "//someone:secret@"))
    tags = client.get_run(run_id).data.tags
    assert tags[PAGE_TAG] == PAGE
    assert tags[NOTE_TAG].startswith("# card\n") and tags[NOTE_TAG].count(f"]({PAGE})") == 1


def test_a_flow_run_that_reuses_it_all_has_made_nothing(opened: Callable[[], Tracker], workspace: Workspace) -> None:
    client, run_id = opened().require()
    for page in (PAGE, f"{PAGE}-another", None):
        link(workspace, run_id, page)
    tags = client.get_run(run_id).data.tags
    assert tags[PAGE_TAG] == PAGE and "another" not in tags[NOTE_TAG]


def test_where_nobody_serves_a_page_there_is_none(opened: Callable[[], Tracker], workspace: Workspace) -> None:
    client, run_id = opened().require()
    link(workspace, run_id, None)
    assert not {PAGE_TAG, NOTE_TAG} & client.get_run(run_id).data.tags.keys()
