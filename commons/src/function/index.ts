/** What the author of a function imports. */
export { AppError, InvalidRequest } from './errors.ts';
export { FunctionCall, type InvokeResult, type ObjectRef } from './call.ts';
export { type FunctionConfig, loadFunctionConfig } from './config.ts';
export type { ClassFunction } from './handlers.ts';
export { GridObject, type ObjectChanges, type ObjectContent, type ObjectDraft } from './object.ts';
export { createFunctionProgram, type FunctionDependencies, type FunctionProgram, serveClass } from './serve.ts';
