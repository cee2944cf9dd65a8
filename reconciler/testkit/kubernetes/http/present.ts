import { apiVersionOf, type ResourceType } from '../resource.ts';
import type { ListAnswer } from '../api/options.ts';
import type { Json, KubeObject } from '../types.ts';

/** What a table's rows carry of the objects. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Encodes a list without decoding its items. */
export function encodeList(resource: ResourceType, list: ListAnswer): Buffer {
  const head = `{"kind":${JSON.stringify(resource.listKind)},"apiVersion":${JSON.stringify(apiVersionOf(resource))},"metadata":${JSON.stringify(listMeta(list))},"items":[`;
  const parts: Buffer[] = [Buffer.from(head)];
  const comma = Buffer.from(',');
  for (const [index, item] of list.items.entries()) {
    if (index > 0) parts.push(comma);
    parts.push(item);
  }
  parts.push(Buffer.from(']}'));
  return Buffer.concat(parts);
}

export function listMeta(list: ListAnswer): Json {
  return {
    resourceVersion: list.resourceVersion,
    ...(list.continue === undefined ? {} : { continue: list.continue }),
    ...(list.remaining === undefined ? {} : { remainingItemCount: list.remaining }),
  };
}

/** Encodes objects as a meta/v1 Table. */
export function table(
  resource: ResourceType,
  objects: readonly KubeObject[],
  metadata: Json,
  include: IncludeObject,
  now: number,
  withColumns = true,
): Json {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? resource.printer.columns : null,
    rows: objects.map((object) => ({
      cells: resource.printer.cells(object, now),
      ...(include === 'None' ? {} : { object: include === 'Object' ? object : partial(object) }),
    })),
  };
}

/** The object's metadata alone. */
export function partial(object: KubeObject): Json {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

export function partialList(objects: readonly KubeObject[], metadata: Json): Json {
  return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items: objects.map(partial) };
}
