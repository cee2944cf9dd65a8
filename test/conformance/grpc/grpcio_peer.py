"""grpcio as the other side: `client PORT` runs calls and prints "ok", `server` serves and prints its port.

Messages are made by hand, since code generated for the package grpc.testing would hide the package grpc.
"""

import sys
from concurrent import futures

import grpc

SERVICE = "/grpc.testing.TestService/"


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def fields(message):
    at, found = 0, {}

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            length = number()
            value = message[at : at + length]
            at += length
        found.setdefault(key >> 3, []).append(value)
    return found


def nested(field, message):
    return varint(field << 3 | 2) + varint(len(message)) + message


def payload(size):
    return nested(2, bytes(size))


def body(response):
    return fields(fields(response)[1][0]).get(2, [b""])[0]


def client(port, credentials=None):
    options = [("grpc.max_receive_message_length", 1 << 24)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        assert channel.unary_unary(SERVICE + "EmptyCall")(b"") == b""
        request = varint(2 << 3) + varint(314159) + nested(3, payload(271828))
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            response = channel.unary_unary(SERVICE + "UnaryCall")(request, compression=compression)
            assert len(body(response)) == 314159
        many = [channel.unary_unary(SERVICE + "UnaryCall").future(varint(2 << 3) + varint(i)) for i in range(500)]
        assert [len(body(one.result())) if i else 0 for i, one in enumerate(many)] == list(range(500))
        sizes = [27182, 8, 1828, 45904]
        total = channel.stream_unary(SERVICE + "StreamingInputCall")(iter([nested(1, payload(n)) for n in sizes]))
        assert fields(total)[1] == [sum(sizes)]
        wanted = b"".join(nested(2, varint(1 << 3) + varint(n)) for n in sizes)
        got = channel.unary_stream(SERVICE + "StreamingOutputCall")(wanted)
        assert [len(body(one)) for one in got] == sizes
        pings = [nested(2, varint(1 << 3) + varint(n)) for n in sizes]
        got = channel.stream_stream(SERVICE + "FullDuplexCall")(iter(pings))
        assert [len(body(one)) for one in got] == sizes
        metadata = (("x-grpc-test-echo-initial", "hello"), ("x-grpc-test-echo-trailing-bin", b"\xab\x00\xff"))
        response, call = channel.unary_unary(SERVICE + "UnaryCall").with_call(b"", metadata=metadata)
        assert ("x-grpc-test-echo-initial", "hello") in call.initial_metadata()
        assert ("x-grpc-test-echo-trailing-bin", b"\xab\x00\xff") in call.trailing_metadata()
        status = nested(7, varint(1 << 3) + varint(2) + nested(2, "n\u00f6 \u2603".encode()))
        try:
            channel.unary_unary(SERVICE + "UnaryCall")(status)
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNKNOWN and error.details() == "n\u00f6 \u2603", error
        slow = nested(2, varint(1 << 3) + varint(1) + varint(2 << 3) + varint(60_000_000))
        try:
            list(channel.unary_stream(SERVICE + "StreamingOutputCall")(slow, timeout=0.2))
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    print("ok", flush=True)


def answer(size):
    return nested(1, payload(size))


def unary(request, context):
    found = fields(request)
    if 7 in found:
        status = fields(found[7][0])
        context.set_trailing_metadata((("x-trailer", "there"),))
        context.abort(grpc.StatusCode.UNKNOWN, status[2][0].decode())
    for key, value in context.invocation_metadata():
        if key == "x-grpc-test-echo-trailing-bin":
            context.set_trailing_metadata(((key, value),))
    return answer(found.get(2, [0])[0])


def outputs(request, context):
    for wanted in fields(request).get(2, []):
        yield answer(fields(wanted).get(1, [0])[0])


def summed(requests, context):
    return varint(1 << 3) + varint(sum(len(body(one)) for one in requests))


def duplex(requests, context):
    for request in requests:
        yield from outputs(request, context)


def server():
    options = [("grpc.max_receive_message_length", 1 << 24)]
    running = grpc.server(futures.ThreadPoolExecutor(8), options=options, compression=grpc.Compression.Gzip)
    handlers = {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(lambda request, context: b""),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(unary),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(outputs),
        "StreamingInputCall": grpc.stream_unary_rpc_method_handler(summed),
        "FullDuplexCall": grpc.stream_stream_rpc_method_handler(duplex),
    }
    running.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.testing.TestService", handlers),))
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    print(port, flush=True)
    running.wait_for_termination()


if sys.argv[1] == "client":
    client(int(sys.argv[2]))
else:
    server()
