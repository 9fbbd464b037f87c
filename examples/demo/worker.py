import os
import socket
import sys
import tempfile
import time
from multiprocessing.connection import Client
from multiprocessing.reduction import recv_handle, sendfds

start = time.perf_counter()


def say(what):
    print("%5.0f ms  %-11s %s" % ((time.perf_counter() - start) * 1000, "Python", what), flush=True)


connection = Client(sys.argv[1])
message = connection.recv_bytes()
handle = recv_handle(connection)
say('received "%s" and listener, fd %d here, inode %d' % (message.decode(), handle, os.fstat(handle).st_ino))

server = socket.socket(fileno=handle)
server.setblocking(True)
client, _ = server.accept()
request = client.recv(65536)
body = b"served by Python process %d" % os.getpid()
client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
client.close()
say("served %s" % request.split()[1].decode())

with tempfile.TemporaryFile() as report:
    report.write(b"Python process %d served %s\n" % (os.getpid(), request.split()[1]))
    report.flush()
    report.seek(0)
    with socket.socket(fileno=os.dup(connection.fileno())) as sock:
        sendfds(sock, [report.fileno()])
    connection.send_bytes(b"the report")
    say("sent a message with file, fd %d here, inode %d" % (report.fileno(), os.fstat(report.fileno()).st_ino))
connection.close()
