"""Prefect's temporary server, in a process of its own: `python -m flows.servers.prefect_server DESCRIPTOR PARENT`.

It listens on a socket that the command made, so that no port is lost to another process, and ends with the command.
"""

import socket
import sys

from flows.servers.parent_process import end_with


def main() -> None:
    """Serve until a signal comes, or the command is gone."""
    descriptor, parent = map(int, sys.argv[1:])
    end_with(parent)
    import uvicorn

    application = "prefect.server.api.server:create_app"
    server = uvicorn.Server(uvicorn.Config(application, factory=True, log_level="error", lifespan="on"))
    with socket.socket(fileno=descriptor) as listener:
        server.run(sockets=[listener])
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
