import { createSecureServer, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { ServiceDefinition } from '@oaas/commons/grpc';
import { toGrpcStatus } from '@oaas/commons/errors';
import type { TlsMaterial } from '@oaas/commons/security';

type Unary = (request: unknown, context: object) => Promise<unknown>;

/**
 * gRPC framed by hand on node:http2, unary calls only and without the rest of the protocol: what the edge is compared
 * with, and never more than that.
 */
export async function nodeHttp2Server(
  services: readonly (readonly [ServiceDefinition, object])[],
  address: { readonly host: string; readonly port: number },
  tls: TlsMaterial | undefined,
): Promise<{ port: number; stop: () => void }> {
  const methods = new Map<
    string,
    { run: Unary; decode: (b: Uint8Array) => unknown; encode: (m: unknown) => Uint8Array }
  >();
  for (const [definition, handlers] of services) {
    for (const [key, method] of Object.entries(definition.methods)) {
      const run = (handlers as Record<string, Unary | undefined>)[key];
      if (run === undefined || method.requestStream || method.responseStream) continue;
      methods.set(`/${definition.fullName}/${method.name}`, {
        run,
        decode: (bytes) => method.requestType.decode(bytes),
        encode: (message) => method.responseType.encode(message).finish(),
      });
    }
  }
  const settings = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: 1024 };
  const server = tls === undefined ? createServer({ settings }) : createSecureServer({ ...tls, settings });
  server.on('session', (session) => {
    session.setLocalWindowSize(1024 * 1024);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const method = methods.get(String(headers[':path']));
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const finish = (status: { code: number; message: string }, payload?: Uint8Array): void => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => {
          stream.sendTrailers({
            'grpc-status': String(status.code),
            'grpc-message': encodeURIComponent(status.message),
          });
        });
        if (payload === undefined) {
          stream.end();
          return;
        }
        const framed = Buffer.allocUnsafe(5 + payload.length);
        framed[0] = 0;
        framed.writeUInt32BE(payload.length, 1);
        framed.set(payload, 5);
        stream.end(framed);
      };
      if (method === undefined) {
        finish({ code: 12, message: 'unimplemented' });
        return;
      }
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      method.run(method.decode(body.subarray(5)), {}).then(
        (response) => finish({ code: 0, message: '' }, method.encode(response)),
        (error: unknown) => finish(toGrpcStatus(error)),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(address.port, address.host, resolve));
  return { port: (server.address() as AddressInfo).port, stop: () => server.close() };
}
