"""Opens what Node cannot, and sends the descriptor over the connection it inherited as 3: open.py <what> [argument]."""
import ctypes
import os
import pty
import socket
import sys
from multiprocessing import reduction

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def terminal(_):
    master, slave = pty.openpty()
    yield slave
    for line in sys.stdin:  # what is typed
        os.write(master, line.encode())


def pidfd(pid):
    yield os.pidfd_open(int(pid))


def timerfd(seconds):
    class Timespec(ctypes.Structure):
        _fields_ = [('seconds', ctypes.c_long), ('nanoseconds', ctypes.c_long)]

    timer = check(libc.timerfd_create(1, 0))  # CLOCK_MONOTONIC
    every = Timespec(0, int(float(seconds) * 1e9))
    check(libc.timerfd_settime(timer, 0, (Timespec * 2)(every, every), None))
    yield timer


def inotify(path):
    queue = check(libc.inotify_init1(0))
    check(libc.inotify_add_watch(queue, path.encode(), 0x100))  # IN_CREATE
    yield queue


def main(what, argument=''):
    connection = socket.socket(fileno=3)
    for descriptor in globals()[what](argument):
        reduction.sendfds(connection, [descriptor])


main(*sys.argv[1:])
