# SPDX-License-Identifier: MIT
"""The recorder of a PostgreSQL: commits numbers from outside the pair, and remembers each that the
database said is committed.
"""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import pg8000.native

PATIENCE = 20  # seconds for one answer
MAKE = "create table if not exists numbers (number bigint primary key)"
# Each row is something wrong: a page whose sum is not its content's, where the database checks
# them; a row that is damaged (amcheck); and a row that the index does not have raises an error.
INSPECT = (
    "select name, setting from pg_settings where name = 'data_checksums' and setting <> 'on'",
    "create extension if not exists amcheck",
    "select blkno, offnum, msg from verify_heapam('numbers')",
    "select 1 where bt_index_check('numbers_pkey', true) is null",
    "select datname, checksum_failures from pg_stat_database where checksum_failures > 0",
)


@dataclass(slots=True)
class Committer:
    """Uses the database behind PORT on this host. As a context it commits without a pause."""

    port: int
    acknowledged: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)  # when, on this host's monotonic clock
    _next: int = 1
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Committer":
        self._thread = threading.Thread(target=self._commit, daemon=True, name="committer")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing is committed any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def present(self) -> set[int] | None:
        """All that the database has, or None while it does not answer."""
        try:
            connection = self._connect()
            rows = connection.run("select number from numbers")
            connection.close()
        except (OSError, pg8000.exceptions.Error):
            return None
        return {int(number) for (number,) in rows or ()}

    def damage(self) -> list[str]:
        """What the database itself finds wrong with what it has, in its words; it must answer."""
        connection = self._connect()
        try:
            return [str(row) for query in INSPECT for row in connection.run(query) or ()]
        except pg8000.exceptions.DatabaseError as error:
            return [str(error)]
        finally:
            connection.close()

    def _connect(self) -> pg8000.native.Connection:
        return pg8000.native.Connection(
            "postgres", host="127.0.0.1", port=self.port, timeout=PATIENCE
        )

    def _commit(self) -> None:
        while not self._stop.is_set():
            try:
                connection = self._connect()
                connection.run(MAKE)
                while not self._stop.is_set():
                    # A number that was not answered is never used again: it may be there.
                    number, self._next = self._next, self._next + 1
                    connection.run("insert into numbers values (:n)", n=number)
                    self.acknowledged.append(number)
                    self.moments.append(time.monotonic())
                connection.close()
            except (OSError, pg8000.exceptions.Error):
                self._stop.wait(1)  # it is away; nobody tells when it is back
