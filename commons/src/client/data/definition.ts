import { data } from '@oaas/proto';
import type { FastCodec } from '../../grpc/index.ts';
import * as messages from './messages.ts';

const codecs = new Map<object, FastCodec>([
  [data.EmptyResponse, messages.emptyResponse],
  [data.SingleObjectRequest, messages.singleObjectRequest],
  [data.SetObjectRequest, messages.setObjectRequest],
  [data.ObjectResponse, messages.objectResponse],
  [data.SingleKeyRequest, messages.singleKeyRequest],
  [data.SetKeyRequest, messages.setKeyRequest],
  [data.ValueResponse, messages.valueResponse],
  [data.ValueEnvelope, messages.valueEnvelope],
  [data.BatchSetValuesRequest, messages.batchSetValuesRequest],
]);

/** `oprc.DataService` with codecs by hand for the messages that grids and their clients exchange most. */
export const dataServiceDefinition: typeof data.DataServiceDefinition = {
  ...data.DataServiceDefinition,
  methods: withCodecs(data.DataServiceDefinition.methods),
};

function withCodecs<
  M extends Readonly<Record<string, { readonly requestType: object; readonly responseType: object }>>,
>(methods: M): M {
  const fast = <T extends object>(type: T): T => {
    const codec = codecs.get(type);
    return codec === undefined ? type : { ...type, fast: codec };
  };
  const entries = Object.entries(methods).map(([key, method]) => [
    key,
    { ...method, requestType: fast(method.requestType), responseType: fast(method.responseType) },
  ]);
  return Object.fromEntries(entries) as M;
}
