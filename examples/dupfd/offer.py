"""Offers an open file without a name by DupFd, and says where; ends when its input does."""
import json
import os
import sys
import tempfile
from multiprocessing import current_process
from multiprocessing.reduction import DupFd

with tempfile.TemporaryFile() as file:
    file.write(b"written by Python process %d" % os.getpid())
    file.seek(0)
    inode = os.fstat(file.fileno()).st_ino
    offer = DupFd(file.fileno())

# Programs pickle the DupFd; what the pickle carries is this pair.
address, key = offer._id
print(json.dumps({"address": address, "key": key, "inode": inode, "authkey": current_process().authkey.hex()}))
sys.stdout.flush()
sys.stdin.read()
