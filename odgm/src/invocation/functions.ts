import { invoke } from '@oaas/proto';
import type { FunctionPort } from './invoker.ts';
import { ClientPool, type ClientPoolOptions } from './pool.ts';

export interface Functions extends FunctionPort {
  close(): void;
}

/** Calls functions over gRPC. */
export function createFunctions(options: ClientPoolOptions): Functions {
  const pool = new ClientPool(invoke.OprcFunctionDefinition, options);
  return {
    invokeFn: (url, request, call) => pool.client(url).invokeFn(request, call),
    invokeObj: (url, request, call) => pool.client(url).invokeObj(request, call),
    close: () => {
      pool.close();
    },
  };
}
