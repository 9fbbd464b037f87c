"""A client needs nothing but Python's standard library."""
import sys
from multiprocessing.connection import Client

connection = Client(sys.argv[1])
connection.send_bytes(b"a request from python")
print("client in Python: %s" % connection.recv_bytes().decode())
connection.close()
