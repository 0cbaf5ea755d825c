"""A proxy that only knows ``CONNECT``, and leads every tunnel to one server."""

import contextlib
import socket
import ssl
import threading

from .servers import carry


class ConnectProxy:
    """Listens on loopback. It looks up no name: every tunnel ends at ``target``.

    :ivar heads: what was asked, as text.
    :ivar carried: every byte that went through a tunnel to the server.
    """

    def __init__(
        self,
        target: int,
        *,
        response: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.heads: list[str] = []
        self.carried = bytearray()
        self._target = target
        self._response = response
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := client.recv(4096)):
                    return
                head += more
            self.heads.append(head.decode())
            client.sendall(self._response)
            if b" 200 " not in self._response:
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            back = threading.Thread(
                target=carry, args=(server, client, None, bytearray()), daemon=True
            )
            back.start()
            carry(client, server, None, self.carried)
