"""Stands for a vault in another network: takes connections on both of its addresses.

Says `begun`, waits for a line by which time it has a cable named `far`, and says `ready`.
"""

import socket
import subprocess
import sys
import threading


def serve(family, address):
    listener = socket.create_server((address, 443), family=family)
    while True:
        listener.accept()[0].close()


print("begun", flush=True)
sys.stdin.readline()
for command in (
    "ip link set far up",
    "ip address add 10.20.0.4/24 dev far",
    "ip address add fd00:20::4/64 dev far nodad",
):
    subprocess.run(command.split(), check=True)
listeners = [
    threading.Thread(target=serve, args=to)
    for to in ((socket.AF_INET, "10.20.0.4"), (socket.AF_INET6, "fd00:20::4"))
]
for listener in listeners:
    listener.start()
print("ready", flush=True)
