"""multiprocessing.connection, multiprocessing.reduction and selectors, started like the other peers."""
import json
import os
import resource
import selectors
import socket
import struct
import sys
import time
from multiprocessing import reduction
from multiprocessing.connection import Client, Listener


def time_each(params, exchange):
    """Times exchange(), which may return its own (started, ended) in nanoseconds."""
    clock = time.monotonic_ns
    samples = []
    record_from = clock() + int(params['warmup'] * 1e6)
    end = record_from + int(params['duration'] * 1e6)
    while True:
        started = clock()
        times = exchange()
        ended = clock()
        if times:
            started, ended = times
        if started >= record_from:
            samples.append(ended - started)
        if ended >= end:
            break
    samples.sort()

    def percentile(share):
        return samples[min(len(samples) - 1, int(len(samples) * share))] / 1000

    mean = sum(samples) / len(samples) / 1000
    return {'p50': percentile(0.5), 'p99': percentile(0.99), 'mean': mean, 'count': len(samples)}


def cpu_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e6


def serve(params, step):
    """Serves one connection after another until each ends."""
    with Listener(params['address'], 'AF_UNIX', backlog=4096) as listener:
        print('ready', flush=True)
        while True:
            with listener.accept() as connection:
                try:
                    while True:
                        step(connection)
                except (EOFError, ConnectionError):
                    pass
                except RuntimeError as error:
                    # recv_handle() reports the end of the stream so.
                    if 'received 0 items' not in str(error):
                        raise


def serve_echo(params):
    serve(params, lambda connection: connection.send_bytes(connection.recv_bytes()))


def serve_sink(params):
    buffer = bytearray(params['size']) if params['receive'] == 'into' else None

    def step(connection):
        length = connection.recv_bytes_into(buffer) if buffer else len(connection.recv_bytes())
        if length == 1:
            connection.send_bytes(json.dumps({'cpu': cpu_time()}).encode())

    serve(params, step)


def serve_handle(params):
    def step(connection):
        fd = reduction.recv_handle(connection)
        reduction.send_handle(connection, fd, None)
        os.close(fd)

    serve(params, step)


def stream(connection):
    return socket.socket(fileno=os.dup(connection.fileno()))


def serve_descriptors(params):
    sockets = {}

    def step(connection):
        if connection not in sockets:
            sockets[connection] = stream(connection)
        fds = reduction.recvfds(sockets[connection], params['descriptors'])
        body = connection.recv_bytes()
        for fd in fds:
            os.close(fd)
        connection.send_bytes(body)

    serve(params, step)


def round_trip(params):
    connection = Client(params['address'])
    body = bytes(params['size'])

    def exchange():
        connection.send_bytes(body)
        connection.recv_bytes()

    return time_each(params, exchange)


def connect(params):
    body = bytes(params['size'])

    def exchange():
        with Client(params['address']) as connection:
            connection.send_bytes(body)
            connection.recv_bytes()

    return time_each(params, exchange)


def one_way(params):
    connection = Client(params['address'])
    body = bytes(params['size'])
    burst = params['burst']

    def send_for(milliseconds):
        end = time.monotonic_ns() + milliseconds * 1e6
        count = 0
        while True:
            for _ in range(burst):
                connection.send_bytes(body)
            count += burst
            if time.monotonic_ns() >= end:
                return count

    def mark():
        connection.send_bytes(b'x')
        return json.loads(connection.recv_bytes())

    send_for(params['warmup'])
    before = mark()
    cpu = cpu_time()
    started = time.monotonic_ns()
    count = send_for(params['duration'])
    after = mark()
    elapsed = time.monotonic_ns() - started
    return {
        'mean': elapsed / 1000 / count,
        'cpu': (cpu_time() - cpu + after['cpu'] - before['cpu']) / count,
        'count': count,
    }


def handle(params):
    connection = Client(params['address'])
    fd = os.open('/dev/null', os.O_RDONLY)

    def exchange():
        reduction.send_handle(connection, fd, None)
        os.close(reduction.recv_handle(connection))

    return time_each(params, exchange)


def descriptors(params):
    connection = Client(params['address'])
    sock = stream(connection)
    fds = [os.open('/dev/null', os.O_RDONLY) for _ in range(params['descriptors'])]

    def exchange():
        reduction.sendfds(sock, fds)
        connection.send_bytes(b'x')
        connection.recv_bytes()

    return time_each(params, exchange)


def select(params):
    """One of them stays readable: nothing but the call is timed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    selector = selectors.DefaultSelector()
    quiet = os.pipe()
    ready = os.pipe()
    for _ in range(1, params['descriptors']):
        selector.register(os.dup(quiet[0]), selectors.EVENT_READ)
    os.write(ready[1], b'x')
    selector.register(ready[0], selectors.EVENT_READ)

    def exchange():
        selector.select()

    return time_each(params, exchange)


def wake(params):
    fd = os.open(params['address'] + '.wake', os.O_RDONLY)
    answer = os.open(params['address'] + '.answer', os.O_WRONLY)
    selector = selectors.DefaultSelector()
    selector.register(fd, selectors.EVENT_READ)
    unpack = struct.Struct('=Q').unpack

    def exchange():
        selector.select()
        ended = time.monotonic_ns()
        (started,) = unpack(os.read(fd, 8))
        os.write(answer, b'x')
        return started, ended

    return time_each(params, exchange)


WORKS = {
    'server': {'echo': serve_echo, 'sink': serve_sink, 'handle': serve_handle, 'descriptors': serve_descriptors},
    'client': {
        'round-trip': round_trip,
        'connect': connect,
        'one-way': one_way,
        'handle': handle,
        'descriptors': descriptors,
        'select': select,
        'wake': wake,
    },
}


def number(text):
    return int(text) if text.isdecimal() else text


def main():
    role, work, *pairs = sys.argv[1:]
    params = {key: number(value) for key, value in (pair.split('=', 1) for pair in pairs)}
    result = WORKS[role][work](params)
    print(json.dumps(result), flush=True)


main()
