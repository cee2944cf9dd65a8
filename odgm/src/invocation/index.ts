/** Function calls: from a class and a function's name to the program that runs it. */
export { createFunctions, type Functions } from './functions.ts';
export {
  type FinishedCall,
  type FunctionPort,
  type Invocation,
  type InvocationRoute,
  type InvocationTable,
  Invoker,
  type InvokerOptions,
} from './invoker.ts';
export { ClientPool, type OpenChannel } from './pool.ts';
