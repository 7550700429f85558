# SPDX-License-Identifier: MIT
"""Another computer on the LAN that keeps files for whoever logs in over SSH, at FILES of cables.py.

It is this host, and no program of OpenSSH's: what the pair's own ssh and sshfs get on with.
"""

import asyncio
import secrets
import threading
from pathlib import Path

import asyncssh

USER = "keeper"


class _Door(asyncssh.SSHServer):
    def __init__(self, password: str) -> None:
        self._password = password

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USER and secrets.compare_digest(password, self._password)


class SshServer:
    """Serves FOLDER behind PORT on this host, as a context."""

    def __init__(self, folder: Path, port: int) -> None:
        self.password = secrets.token_hex(8)
        self._folder, self._port = folder, port
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="ssh")

    @property
    def fingerprint(self) -> str:
        """Of its key, as ssh-keygen(1) prints it."""
        return self._key.get_fingerprint()

    def __enter__(self) -> "SshServer":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _listen(self) -> None:
        root = str(self._folder).encode()
        self._server = await asyncssh.listen(
            "127.0.0.1",
            self._port,
            server_factory=lambda: _Door(self.password),
            server_host_keys=[self._key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=root),
            login_timeout=600,  # seconds; whoever logs in is emulated
        )
