import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Container, Probe } from '../workloads/objects.ts';
import { startProcess } from '../process.ts';

/** The world of one container, as its probes see it. */
export interface ProbeTarget {
  readonly container: Container;
  /** Loopback port of a container port. */
  readonly hostPort: (containerPort: number) => number;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** Asks once. Answers within the probe's timeout, and never throws. Messages are worded as a kubelet's. */
export async function checkProbe(probe: Probe, target: ProbeTarget): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  if (probe.httpGet !== undefined) {
    const port = portOf(probe.httpGet.port, target);
    return port === undefined ? noPort(probe.httpGet.port) : httpGet(port, probe.httpGet.path ?? '/', timeoutMs);
  }
  if (probe.tcpSocket !== undefined) {
    const port = portOf(probe.tcpSocket.port, target);
    return port === undefined ? noPort(probe.tcpSocket.port) : tcpConnect(port, timeoutMs);
  }
  if (probe.grpc !== undefined) {
    return grpcHealth(target.hostPort(probe.grpc.port), probe.grpc.service ?? '', timeoutMs);
  }
  if (probe.exec?.command !== undefined) return execute(probe.exec.command, target, timeoutMs);
  return { ok: true };
}

function portOf(port: number | string, target: ProbeTarget): number | undefined {
  if (typeof port === 'number') return target.hostPort(port);
  const named = target.container.ports?.find((candidate) => candidate.name === port);
  if (named !== undefined) return target.hostPort(named.containerPort);
  return /^\d+$/.test(port) ? target.hostPort(Number(port)) : undefined;
}

function noPort(port: number | string): ProbeResult {
  return { ok: false, message: `the container has no port named "${String(port)}"` };
}

function httpGet(port: number, path: string, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const call = request({
      host: '127.0.0.1',
      port,
      path,
      agent: false,
      headers: { 'user-agent': 'kube-probe/sandbox' },
    });
    const timer = setTimeout(() => {
      resolve({
        ok: false,
        message: `Get "http://127.0.0.1:${String(port)}${path}": no answer within ${String(timeoutMs)} ms`,
      });
      call.destroy();
    }, timeoutMs);
    call.once('response', (response) => {
      clearTimeout(timer);
      const status = response.statusCode ?? 0;
      resolve(
        status >= 200 && status < 400
          ? { ok: true }
          : { ok: false, message: `HTTP probe failed with statuscode: ${String(status)}` },
      );
      response.destroy();
    });
    call.on('error', (error) => {
      clearTimeout(timer);
      resolve({ ok: false, message: `Get "http://127.0.0.1:${String(port)}${path}": ${error.message}` });
    });
    call.end();
  });
}

function tcpConnect(port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const finish = (result: ProbeResult): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(timeoutMs, () => finish({ ok: false, message: 'dial tcp: i/o timeout' }));
    socket.once('connect', () => finish({ ok: true }));
    socket.once('error', (error) =>
      finish({ ok: false, message: `dial tcp 127.0.0.1:${String(port)}: ${error.message}` }),
    );
  });
}

/** grpc.health.v1.Health/Check; SERVING is 1. Source: github.com/grpc/grpc/blob/master/doc/health-checking.md */
function grpcHealth(port: number, service: string, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://127.0.0.1:${String(port)}`);
    const finish = (result: ProbeResult): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(result);
    };
    const timer = setTimeout(
      () => finish({ ok: false, message: 'the health check did not answer in time' }),
      timeoutMs,
    );
    session.once('error', (error: Error) => finish({ ok: false, message: error.message }));
    const name = Buffer.from(service);
    const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const body: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => body.push(chunk));
    stream.once('error', (error: Error) => finish({ ok: false, message: error.message }));
    stream.once('end', () => {
      const answer = Buffer.concat(body).subarray(5);
      const isServing = answer[0] === 0x08 && answer[1] === 1;
      finish(isServing ? { ok: true } : { ok: false, message: 'the service is not SERVING' });
    });
    stream.end(Buffer.concat([head, message]));
  });
}

async function execute(command: readonly string[], target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  let output = '';
  const running = startProcess({
    command,
    env: target.env,
    cwd: target.cwd,
    onLine: (line) => {
      if (output.length < 1024) output += `${line}\n`;
    },
  });
  const timer = setTimeout(() => running.signal('SIGKILL'), timeoutMs);
  const exit = await running.exited;
  clearTimeout(timer);
  if (exit.code === 0) return { ok: true };
  return { ok: false, message: exit.startError ?? `command exited with ${String(exit.code)}: ${output.trim()}` };
}
