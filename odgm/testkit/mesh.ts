import type { Logger } from '@oaas/commons/telemetry';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import { dialTcp } from '../src/mesh/dial.ts';
import { headerBytes } from '../src/mesh/frames.ts';
import type { LinkEvent, MeshPeer, Refusal } from '../src/mesh/port.ts';
import { createTcpMesh, type TcpMesh, type TcpMeshOptions } from '../src/mesh/tcp-mesh.ts';

export interface TestMember extends MeshPeer {
  readonly mesh: TcpMesh;
  readonly links: LinkEvent[];
  readonly refusals: Refusal[];
  /** Constant messages of the log, in order. */
  readonly lines: string[];
  /** Connections that it accepted. */
  readonly sockets: ReadonlySet<Socket>;
  stop(): Promise<void>;
}

export interface TestMemberOptions extends Partial<Omit<TcpMeshOptions, 'self'>> {
  readonly id?: string;
  readonly incarnation?: number;
  /** Default: a free one. */
  readonly port?: number;
}

/** A member with a listener of its own on loopback. Patience is short, so that tests are. */
export async function startMember(number: number, options: TestMemberOptions = {}): Promise<TestMember> {
  const id = options.id ?? `grid-${number - 1}`;
  const lines: string[] = [];
  const logger: Logger = createLogger({
    service: 'mesh',
    destination: { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) },
  });
  const mesh = createTcpMesh({
    ...{ clusterId: 'test', dial: dialTcp, clock: systemClock, timers: systemTimers, random: systemRandom, logger },
    ...{ pingMs: 50, silentPingsMax: 6, reconnectMaxMs: 100, dialAnywayMs: 300 },
    ...options,
    self: { number, id, incarnation: options.incarnation ?? 1 },
  });
  const links: LinkEvent[] = [];
  const refusals: Refusal[] = [];
  mesh.onLink((event) => void links.push(event));
  mesh.onRefused((refusal) => void refusals.push(refusal));
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    mesh.accept(socket, new Uint8Array(0));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    ...{ number, id, address, mesh, links, refusals, lines, sockets },
    stop: async () => {
      await mesh.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Tells all members of each other, and waits for their links. */
export async function link(...members: readonly TestMember[]): Promise<void> {
  for (const { mesh } of members) mesh.setPeers(members);
  await untilLinked(...members);
}

export async function untilLinked(...members: readonly TestMember[]): Promise<void> {
  await eventually(() =>
    members.every(({ mesh, number }) => members.every((other) => other.number === number || mesh.isUp(other.number))),
  );
}

/** A frame written by hand, to hold the real writer against it. */
export function frameBytes(kind: number, channel: number, id: number, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(headerBytes + payload.length);
  frame.writeUInt32BE(8 + payload.length, 0);
  frame.writeUInt8(kind, 8);
  frame.writeUInt16BE(channel, 10);
  frame.writeUInt32BE(id, 12);
  frame.set(payload, headerBytes);
  frame.writeUInt32BE(crc32(frame.subarray(8)), 4);
  return frame;
}
