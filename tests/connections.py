"""A way through to a server on loopback that breaks, as networks do."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Passes connections on to a server, and cuts some of them in the middle of an answer.

    Args:
        port: The server's, on loopback.

    Attributes:
        port: Where it listens, on loopback.
        cuts: Connections still to be cut; each is, once the server has sent `after` bytes through it.
        after: Bytes of answers that a connection to be cut still passes on.
        closed: Whether connections are refused: the server seems to be away.
        passed: Bytes of answers that were passed on.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port = int(self._listener.getsockname()[1])
        self.cuts, self.after, self.closed, self.passed = 0, 0, False, 0

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.closed:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, sink, answers), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        sent = 0
        with suppress(OSError):
            while data := source.recv(1024):
                if answers and self._is_cut(sent + len(data)):
                    break
                sink.sendall(data)
                sent += len(data)
                self.passed += len(data) * answers
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _is_cut(self, sent: int) -> bool:
        with self._lock:
            cut = self.cuts > 0 and sent > self.after
            self.cuts -= cut
            return cut


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Have a proxy for as long as the block lasts."""
    proxy = Proxy(port)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
