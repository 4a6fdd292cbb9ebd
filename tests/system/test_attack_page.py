"""A web page on another port of this machine, in a real browser: it tries to make the servers run a command.

Each way is shown to work on a server without a password, so that a page that fails on ours fails because of us.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.system.conftest import Command
from tests.system.started import CLIENT, Started, answers, credentials, free_ports, settings_of, started
from tests.system.test_report_page import FLAGS, chromium
from tests.system.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

TEMPORARY = """
import sys, time
from pathlib import Path
from flows.servers.environment import served, settle
home = Path(sys.argv[1])
settle(home, trains=False)
with served(home):
    from prefect.client.orchestration import get_client
    with get_client(sync_client=True) as client:
        print("serves at", str(client.api_url).removesuffix("/api/"), flush=True)
    sys.stdin.read() or time.sleep(600)
"""

PREFECT = """async ([server, way]) => {
  const json = {"Content-Type": "application/json"}, flow = JSON.stringify({name: `evil-${way}`});
  const step = {"prefect.deployments.steps.run_shell_script": {script: "touch was-here"}};
  if (way === "read")
    return await (await fetch(`${server}/api/flows/filter`, {method: "POST", headers: json, body: "{}"})).json();
  if (way === "deployment") {
    const made = await (await fetch(`${server}/api/flows/`, {method: "POST", headers: json, body: flow})).json();
    const body = JSON.stringify({name: "evil", flow_id: made.id, pull_steps: [step], entrypoint: "x.py:x"});
    return (await fetch(`${server}/api/deployments/`, {method: "POST", headers: json, body})).ok;
  }
  if (way === "no-cors")  // a blob without a type has no Content-Type, and is asked for no leave beforehand
    await fetch(`${server}/api/flows/`, {method: "POST", mode: "no-cors", body: new Blob([flow])});
  if (way === "with-credentials")
    await fetch(`${server}/api/flows/`, {method: "POST", credentials: "include", headers: json, body: flow});
  if (way === "socket")
    return await new Promise(done => {
      const socket = new WebSocket(`${server.replace("http", "ws")}/api/events/out`);
      socket.onopen = () => socket.send(JSON.stringify({type: "filter", filter: {}}));
      socket.onclose = event => done(event.code === 1002);
      setTimeout(() => done(socket.readyState === WebSocket.OPEN), 3000);
    });
}"""

MLFLOW = """async ([server, way]) => {
  const api = `${server}/api/2.0/mlflow`, body = JSON.stringify({name: `evil-${way}`});
  const json = {"Content-Type": "application/json"};
  if (way === "read") return await (await fetch(`${api}/experiments/search?max_results=9`)).json();
  if (way === "cors") await fetch(`${api}/experiments/create`, {method: "POST", headers: json, body});
  if (way === "with-credentials")
    await fetch(`${api}/experiments/create`, {method: "POST", credentials: "include", headers: json, body});
  if (way === "no-cors")
    await fetch(`${api}/experiments/create`, {method: "POST", mode: "no-cors", body: new Blob([body])});
}"""

FORM = """([address, body]) => {
  const form = document.createElement("form"), field = document.createElement("input");
  Object.assign(form, {method: "POST", action: address, enctype: "text/plain", target: "_self"});
  Object.assign(field, {name: body.slice(0, -1), value: "}"});  // text/plain writes NAME=VALUE
  form.append(field);
  document.body.append(form);
  form.submit();
}"""


@dataclass(frozen=True)
class Servers:
    """Servers that a page may reach, and the home whose password they demand; None where they demand none."""

    prefect: str
    mlflow: str | None
    home: Path | None

    def names(self, kind: str) -> list[str]:
        """What the server has, asked by its owner: names of flows, or of experiments."""
        who = httpx.USE_CLIENT_DEFAULT if self.home is None else credentials(self.home)
        if kind == "prefect":
            found = CLIENT.post(f"{self.prefect}/api/flows/filter", json={}, auth=who, timeout=60)
        else:
            where = f"{self.mlflow}/api/2.0/mlflow/experiments/search"
            found = CLIENT.post(where, json={"max_results": 99}, auth=who, timeout=60)
        assert found.is_success, found.text
        rows = found.json() if kind == "prefect" else found.json()["experiments"]
        return [row["name"] for row in rows]


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>cats</title>")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of a page that has nothing to do with us, on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


def _begin(xray: Command, stack: ExitStack, name: str, command: list[str], **settings: str) -> Started:
    return stack.enter_context(started(xray.folder, name, command, settings_of(xray.user, **settings)))


@pytest.fixture(scope="module")
def all_servers(xray: Command, begin: Callable[[Path], None]) -> Iterator[dict[str, Servers]]:
    """Those of `xray up`, the temporary one of a command, and two without our doing: started beside each other."""
    ports = free_ports(4)
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    homes = {name: xray.folder / name for name in ("up", "single", "open")}
    (homes["open"] / "mlruns").mkdir(parents=True)
    for home in homes.values():
        begin(home)
    with ExitStack() as stack:
        start: Callable[..., Started] = partial(_begin, xray, stack)
        up = start(
            "xray-up",
            ["-m", "flows.cli", "up", "--home", "up", "--prefect-port", str(ports[0]), "--mlflow-port", str(ports[1])],
        )
        single = start("single-command", ["-c", TEMPORARY, str(homes["single"])])
        start(
            "open-prefect",
            ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(ports[2])],
            PREFECT_HOME=str(homes["open"] / ".prefect"), PREFECT_SERVER_ANALYTICS_ENABLED="false",
        )  # fmt: skip
        start(
            "open-mlflow",
            ["-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{homes['open']}/mlruns/mlflow.db",
             "--host", "127.0.0.1", "--port", str(ports[3]), "--workers", "1"],
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", DO_NOT_TRACK="true",
        )  # fmt: skip
        until(lambda: up.said("Ctrl-C ends"), "xray up says that all is well", 400)
        until(lambda: single.said("serves at http"), "the temporary server answers", 400)
        for address in (f"{addresses[2]}/api/health", f"{addresses[3]}/health"):
            until(partial(answers, address), f"{address} answers", 400)
        (temporary,) = re.findall(r"^serves at (http\S+)$", single.log.read_text(), re.MULTILINE)
        yield {
            "up": Servers(addresses[0], addresses[1], homes["up"]),
            "single": Servers(temporary, None, homes["single"]),
            "open": Servers(addresses[2], addresses[3], None),
        }


def attack(browser: Browser, page: str, script: str, given: list[str]) -> Any:
    """Open the page with an empty profile, and let it try; None where the browser kept the answer from it."""
    from playwright.sync_api import Error

    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(page)
        try:
            return tab.evaluate(script, given)
        except Error:  # a fetch that was refused
            return None


def post_form(browser: Browser, page: str, address: str, name: str) -> None:
    """Let the page send a form, which a browser asks nobody's leave for."""
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(page)
        with tab.expect_navigation():
            tab.evaluate(FORM, [address, f'{{"name": "{name}", "labels": {{}}}}'])


class TestPrefect:
    """Each way, at servers that it works on and at ours."""

    @pytest.mark.parametrize("place", ["up", "single"])
    @pytest.mark.parametrize("way", ["read", "deployment", "no-cors", "socket"])
    def test_the_page_gets_and_makes_nothing(
        self, way: str, place: str, browser: Browser, page: str, all_servers: dict[str, Servers]
    ) -> None:
        ours, open_to_all = all_servers[place], all_servers["open"]
        taken = attack(browser, page, PREFECT, [open_to_all.prefect, way])
        assert taken not in (None, False) or f"evil-{way}" in open_to_all.names("prefect"), "this way never works"
        assert attack(browser, page, PREFECT, [ours.prefect, way]) in (None, False)
        assert [name for name in ours.names("prefect") if name.startswith("evil")] == []

    @pytest.mark.parametrize("place", ["up", "single"])
    def test_nor_by_a_form_or_with_what_the_browser_knows(
        self, place: str, browser: Browser, page: str, all_servers: dict[str, Servers]
    ) -> None:
        ours = all_servers[place]
        post_form(browser, page, f"{ours.prefect}/api/flows/", "evil-form")
        attack(browser, page, PREFECT, [ours.prefect, "with-credentials"])
        assert [name for name in ours.names("prefect") if name.startswith("evil")] == []


class TestMlflow:
    """MLflow alone takes requests from every page of this machine."""

    @pytest.mark.parametrize("way", ["read", "cors", "with-credentials"])
    def test_the_page_gets_and_makes_nothing(
        self, way: str, browser: Browser, page: str, all_servers: dict[str, Servers]
    ) -> None:
        ours, open_to_all = all_servers["up"], all_servers["open"]
        taken = attack(browser, page, MLFLOW, [str(open_to_all.mlflow), way])
        assert taken or f"evil-{way}" in open_to_all.names("mlflow"), "this way never works"
        assert attack(browser, page, MLFLOW, [str(ours.mlflow), way]) is None
        assert [name for name in ours.names("mlflow") if name.startswith("evil")] == []

    def test_nor_by_what_a_browser_asks_no_leave_for(
        self, browser: Browser, page: str, all_servers: dict[str, Servers]
    ) -> None:
        """MLflow takes nothing but JSON, and refuses this by itself."""
        ours = all_servers["up"]
        post_form(browser, page, f"{ours.mlflow}/api/2.0/mlflow/experiments/create", "evil-form")
        attack(browser, page, MLFLOW, [str(ours.mlflow), "no-cors"])
        assert [name for name in ours.names("mlflow") if name.startswith("evil")] == []

    def test_nor_where_the_browser_knows_the_password(
        self, browser: Browser, page: str, all_servers: dict[str, Servers]
    ) -> None:
        """As it does once its user has opened MLflow's page: then it sends it along with every page's requests."""
        ours = all_servers["up"]
        assert ours.home is not None
        user, password = credentials(ours.home)
        address = str(ours.mlflow)
        with browser.new_context(http_credentials={"username": user, "password": password}) as context:
            tab = context.new_page()
            answer = tab.goto(address)
            assert answer is not None
            assert answer.ok
            tab.goto(page)
            for way in ("cors", "no-cors", "with-credentials"):
                tab.evaluate(f"given => ({MLFLOW})(given).catch(() => null)", [address, way])
        assert [name for name in ours.names("mlflow") if name.startswith("evil")] == []


def test_nothing_that_was_asked_for_was_run(all_servers: dict[str, Servers], xray: Command) -> None:
    assert list(xray.folder.rglob("was-here")) == []
