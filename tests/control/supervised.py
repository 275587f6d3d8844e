"""A supervisor over small children, as a program: argv is the stop limit and the children's code."""

import json
import sys

from control.supervisor.children import ChildSpec
from control.supervisor.loop import Supervisor

POLITE = """
import os, signal, sys
def drain(*_):
    print("drained", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
print("pid", os.getpid(), flush=True)
while True: signal.pause()
"""
STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
print("pid", os.getpid(), flush=True)
while True: signal.pause()
"""
#: Writes each signal it gets into FILE, and ends when no second one came for a while.
COUNTING = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("pid", os.getpid(), flush=True)
told, timeout = open(FILE, "w"), 30
while got := signal.sigtimedwait([signal.SIGTERM], timeout):
    told.write("SIGTERM ")
    timeout = 0.5
"""
BROKEN = "raise SystemExit(3)"

if __name__ == "__main__":
    specs = [ChildSpec(name, (sys.executable, "-c", code)) for name, code in json.loads(sys.argv[2]).items()]
    supervisor = Supervisor(specs, stop_limit=float(sys.argv[1]))
    supervisor.run(on_ready=lambda: supervisor.say("ready"))
    supervisor.say("stopped")
