/** Function calls: from a class and a function's name to the program that runs it. */
export { createFunctions } from './functions.ts';
export { type Invocation, type InvocationTable, Invoker } from './invoker.ts';
export { ClientPool } from './pool.ts';
