"""Takes the descriptor offered under the address and key on the command line; the authentication key is its input."""
import os
import sys
from multiprocessing import current_process
from multiprocessing.resource_sharer import DupFd

address, key = sys.argv[1], int(sys.argv[2])
current_process().authkey = bytes.fromhex(sys.stdin.read())

# What unpickling a DupFd makes.
offer = DupFd.__new__(DupFd)
offer._id = (address, key)

fd = offer.detach()
print("process %d took fd %d, inode %d" % (os.getpid(), fd, os.fstat(fd).st_ino))
print("reads: %s" % os.read(fd, 100).decode())

try:
    offer.detach()
except EOFError:
    print("a second time: EOFError, it was there once")
