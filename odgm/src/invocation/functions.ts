import { invoke } from '@oaas/proto';
import type { FunctionPort } from './invoker.ts';
import { ClientPool, type OpenChannel } from './pool.ts';

export interface Functions extends FunctionPort {
  close(): void;
}

/** Calls functions over gRPC, `size` connections to each program. */
export function createFunctions(options: { readonly size: number; readonly openChannel: OpenChannel }): Functions {
  const pool = new ClientPool(invoke.OprcFunctionDefinition, options);
  return {
    invokeFn: (url, request, call) => pool.client(url).invokeFn(request, call),
    invokeObj: (url, request, call) => pool.client(url).invokeObj(request, call),
    close: () => {
      pool.close();
    },
  };
}
