"""A client that asks as fast as it can and reads nothing, until it is killed: victim.py HTTP_PORT GRPC_PORT."""
import json
import socket
import sys

BODY = json.dumps({"inputs": ["red shoe"] * 8, "task": "shop.vector"}).encode()
REQUEST = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nx-priority: bulk\r\n\r\n" % len(BODY) + BODY


def main(http_port, grpc_port):
    sockets = [socket.create_connection(("127.0.0.1", http_port)) for _ in range(4)]
    grpc = socket.create_connection(("127.0.0.1", grpc_port))
    grpc.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    print("ready", flush=True)
    while True:
        for connection in sockets:
            try:
                connection.sendall(REQUEST)
            except OSError:
                pass


main(int(sys.argv[1]), int(sys.argv[2]))
