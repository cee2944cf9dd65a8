import type { DeploymentRecordDetail } from '@oaas/commons/client/pm';
import { recordTitle } from './record.ts';

type Detail = Pick<DeploymentRecordDetail, 'package_name' | 'class_key' | 'functions'>;
type Endpoint = DeploymentRecordDetail['endpoints'][number];

/** Whether a command line for the endpoint can be offered. */
export function speaksGrpc(endpoint: Endpoint): boolean {
  return endpoint.protocol.toLowerCase().includes('grpc');
}

/** Lines to paste into a terminal: list the objects of a class, call one of its functions. Server reflection gives the schema. */
export function grpcurlLines(
  record: Detail,
  endpoint: Endpoint,
): readonly { readonly what: string; readonly line: string }[] {
  const target = endpoint.address.replace(/^\w+:\/\//, '');
  const cls = recordTitle(record);
  const call = (method: string, body: unknown) => `grpcurl -plaintext -d '${JSON.stringify(body)}' ${target} ${method}`;
  const lines = [
    { what: 'List objects', line: call('oprc.DataService/ListObjects', { cls_id: cls, partition_id: 0, limit: 10 }) },
    { what: 'Object counts', line: call('oprc.DataService/Stats', {}) },
  ];
  const first = record.functions[0];
  if (first === undefined) return lines;
  const fn = first.function_key.split('.').at(-1) ?? first.function_key;
  return [
    ...lines,
    { what: `Call ${fn}`, line: call('oprc.OprcFunction/InvokeFn', { cls_id: cls, partition_id: 0, fn_id: fn }) },
  ];
}
