"""Runs a command whose stderr is a terminal of some kind and so many columns, and prints what appears
on it: on_terminal.py [--both] TERM COLUMNS COMMAND... With --both its stdout is that terminal too."""

import fcntl
import os
import struct
import subprocess
import sys
import termios

arguments = sys.argv[1:]
is_both = arguments[0] == "--both"
kind, columns, *words = arguments[1:] if is_both else arguments
terminal, end = os.openpty()
fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
command = subprocess.Popen(
    words,
    stdout=end if is_both else subprocess.DEVNULL,
    stderr=end,
    env={**os.environ, "TERM": kind},
)
os.close(end)
try:
    while shown := os.read(terminal, 4096):
        sys.stdout.buffer.write(shown)
except OSError:
    # The command has closed its end.
    pass
sys.exit(0 if command.wait() in (0, 4) else 1)
