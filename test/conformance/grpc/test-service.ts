import type { CallContext, ServiceHandlers } from '@oaas/commons/grpc';
import { oaasError } from '@oaas/commons/errors';
import { sleep } from '@oaas/commons/time';
import { systemTimers } from '@oaas/commons/time/system';
import { type testing, type testingMessages, testingOrca } from '@oaas/proto';

const initialKey = 'x-grpc-test-echo-initial';
const trailingKey = 'x-grpc-test-echo-trailing-bin';
/** The same for each call to this process: the suite checks that one server gets all of them. */
const serverId = 'oaas-edge';

/** The server side of the standard interop suite (grpc/grpc, doc/interop-test-descriptions.md). */
export const testService: ServiceHandlers<testing.TestServiceDefinition> = {
  emptyCall: () => Promise.resolve({}),
  async unaryCall(request, context) {
    echoMetadata(context);
    throwStatus(request.responseStatus);
    if (request.orcaPerQueryReport !== undefined) {
      const report = testingOrca.OrcaLoadReport.encode(loadReport(request.orcaPerQueryReport)).finish();
      context.setTrailer('endpoint-load-metrics-bin', report);
    }
    return await Promise.resolve({
      payload: zeros(request.responseSize),
      username: '',
      oauthScope: '',
      serverId: request.fillServerId ? serverId : '',
    });
  },
  async *streamingOutputCall(request, context) {
    yield* outputs(request, context);
  },
  async streamingInputCall(requests) {
    let size = 0;
    for await (const { payload } of requests) size += payload?.body.length ?? 0;
    return { aggregatedPayloadSize: size };
  },
  async *fullDuplexCall(requests, context) {
    echoMetadata(context);
    for await (const request of requests) {
      throwStatus(request.responseStatus);
      if (request.orcaOobReport !== undefined) reported.current = loadReport(request.orcaOobReport);
      yield* outputs(request, context);
    }
  },
  async *halfDuplexCall(requests, context) {
    const all: testingMessages.StreamingOutputCallRequest[] = [];
    for await (const request of requests) all.push(request);
    for (const request of all) yield* outputs(request, context);
  },
};

/** What a server reports of its load by itself: what the suite last told it to. */
const reported = { current: testingOrca.OrcaLoadReport.fromPartial({}) };

/** The load reports that clients subscribe to. */
export const loadService: ServiceHandlers<testingOrca.OpenRcaServiceDefinition> = {
  async *streamCoreMetrics({ reportInterval }, { signal }) {
    const intervalMs = (reportInterval?.seconds ?? 0) * 1000 + (reportInterval?.nanos ?? 0) / 1e6;
    for (;;) {
      yield reported.current;
      await sleep(systemTimers, Math.max(100, intervalMs), signal);
    }
  },
};

function loadReport(asked: testingMessages.TestOrcaReport): testingOrca.OrcaLoadReport {
  const { cpuUtilization, memoryUtilization, requestCost, utilization } = asked;
  return { cpuUtilization, memUtilization: memoryUtilization, requestCost, utilization };
}

async function* outputs(
  request: testingMessages.StreamingOutputCallRequest,
  { signal }: CallContext,
): AsyncGenerator<testingMessages.StreamingOutputCallResponse> {
  for (const { size, intervalUs } of request.responseParameters) {
    if (intervalUs > 0) await sleep(systemTimers, intervalUs / 1000, signal);
    yield { payload: zeros(size) };
  }
}

function zeros(size: number): testingMessages.Payload {
  return { type: 0, body: Buffer.alloc(size) };
}

function echoMetadata(context: CallContext): void {
  const initial = context.metadata.get(initialKey);
  if (initial !== undefined) context.setHeader(initialKey, initial);
  const trailing = context.metadata.getBinary(trailingKey);
  if (trailing !== undefined) context.setTrailer(trailingKey, trailing);
}

function throwStatus(status: testingMessages.EchoStatus | undefined): void {
  if (status === undefined || status.code === 0) return;
  // 2 is UNKNOWN, the only code that the suite asks for.
  throw oaasError(status.code === 2 ? 'FunctionFailed' : 'Internal', status.message);
}
