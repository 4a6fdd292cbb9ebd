"""MLflow's own server on a home's store, behind the home's password.

`python -m xray.tracking.server.mlflow_server HOME PORT` runs it.

The store's address stands in the environment or follows from the home, never among the arguments, which every user of
a machine can read.
"""

import os
import sys
from pathlib import Path

from xray.config import Workspace
from xray.errors import XrayError
from xray.password import made_password
from xray.redaction import redacted
from xray.tracking.server.access_gate import Gate
from xray.tracking.store import Store, reached, store_of

NO_JOBS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes that nothing here uses
    "DO_NOT_TRACK": "true",
    "PYTHONWARNINGS": "ignore",
}
SERVED_ARTIFACTS = "mlflow-artifacts:/"
USER_ERROR = 2


def main() -> None:
    """Serve until a signal comes; what is the user's to mend ends in one line and exit code 2."""
    home, port = Path(sys.argv[1]), int(sys.argv[2])
    os.umask(0o077)
    try:
        serve(Workspace(home=home), port)
    except XrayError as error:
        sys.stderr.write(f"xray: {redacted(str(error))}\n")
        sys.exit(USER_ERROR)


def serve(workspace: Workspace, port: int) -> None:
    """Serve a store on 127.0.0.1 until a signal comes.

    Args:
        workspace: Where it lies.
        port: 1 to 65535, free.

    Raises:
        ConfigError: The store's address is none, or its driver is not there.
        RegistryError: The store cannot be opened.
        XrayError: The home cannot keep a password.
    """
    password = made_password(workspace.home)
    os.environ.update(NO_JOBS)
    store = store_of(workspace)
    store.client()  # makes a database that is not there yet, whole
    with reached(store):
        _open(store)
        # Its module reads the environment, and makes the application.
        from mlflow.server.fastapi_app import app
    import uvicorn

    uvicorn.run(Gate(app, password), host="127.0.0.1", port=port, log_level="warning")


def _open(store: Store) -> None:
    """Open the store as `mlflow server` does, through the settings that it hands to the process that serves."""
    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    settings = {
        constants.BACKEND_STORE_URI_ENV_VAR: store.uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: store.uri,
        constants.ARTIFACT_ROOT_ENV_VAR: SERVED_ARTIFACTS,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(store.artifacts),
    }
    os.environ.update(settings)
    initialize_backend_stores(store.uri, store.uri, SERVED_ARTIFACTS)


if __name__ == "__main__":
    main()
