"""Runs a command whose stderr is a terminal, and prints what appears on it."""

import os
import subprocess
import sys

terminal, end = os.openpty()
command = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=end)
os.close(end)
try:
    while shown := os.read(terminal, 4096):
        sys.stdout.buffer.write(shown)
except OSError:
    # The command has closed its end.
    pass
sys.exit(0 if command.wait() in (0, 4) else 1)
