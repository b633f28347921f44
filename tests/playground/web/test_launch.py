"""Started without a terminal, the playground prints the page's address, serves it, and ends when asked to."""

from __future__ import annotations

import signal
import subprocess
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

from playground.stage import ROOT


def test_it_prints_an_address_that_works_and_ends_when_asked() -> None:
    command = [sys.executable, "-u", "-m", "bot", "playground", "--no-browser"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if line.strip().startswith("page"))
        connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
        connection.request("GET", "/")
        status = connection.getresponse().status
        connection.close()
        for line in process.stdout:
            if "quit" in line:  # the last line of the prompt's help: from here on it only waits
                break
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    assert status == 200
    assert urlsplit(address).hostname == "127.0.0.1"
    assert urlsplit(address).fragment.startswith("token=")
    assert code == 0
