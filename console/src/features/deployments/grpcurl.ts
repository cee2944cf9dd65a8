import type { DeploymentRecordDetail } from '@oaas/commons/client/pm';
import { z } from 'zod';
import { recordTitle } from './record.ts';

type Detail = Pick<DeploymentRecordDetail, 'package_name' | 'class_key' | 'desired'>;
type Endpoint = DeploymentRecordDetail['endpoints'][number];

/** The part of the wanted unit that says how a class's functions are called. */
const unitSchema = z.looseObject({
  function_bindings: z.array(z.looseObject({ name: z.string(), stateless: z.boolean().default(false) })).default([]),
});

/** Only a grid answers for the class from outside of its cluster: it serves the objects and passes calls on to functions. */
export function isGrid(endpoint: Endpoint): boolean {
  return endpoint.name === 'grid' && endpoint.protocol.toLowerCase().includes('grpc');
}

/**
 * Lines to paste into a terminal in a checkout of the platform: grids do not serve reflection, so grpcurl reads the contracts
 * there. The grid itself finds the partition of an object.
 */
export function grpcurlLines(
  record: Detail,
  endpoint: Endpoint,
): readonly { readonly what: string; readonly line: string }[] {
  const target = endpoint.address.replace(/^\w+:\/\//, '');
  const cls_id = recordTitle(record);
  const call = (file: string, method: string, body: unknown, header = '') =>
    `grpcurl -plaintext -import-path proto -proto oprc/${file} ${header}-d '${JSON.stringify(body)}' ${target} ${method}`;
  const bindings = unitSchema.safeParse(record.desired).data?.function_bindings ?? [];
  return [
    { what: 'Objects per shard', line: call('data.proto', 'oprc.DataService/Stats', {}) },
    {
      what: 'List objects of partition 0',
      line: call('data.proto', 'oprc.DataService/ListObjects', { cls_id, partition_id: 0, limit: 10 }),
    },
    ...bindings.map(({ name, stateless }) =>
      stateless
        ? { what: `Call ${name}`, line: call('invoke.proto', 'oprc.OprcFunction/InvokeFn', { cls_id, fn_id: name }) }
        : {
            what: `Call ${name} on the object "one"`,
            line: call(
              'invoke.proto',
              'oprc.OprcFunction/InvokeObj',
              { cls_id, object_id: 'one', fn_id: name },
              "-H 'x-oaas-partition: auto' ",
            ),
          },
    ),
  ];
}
