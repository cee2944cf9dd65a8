/** One table of error codes, and the one error type that carries them. Pure: no I/O, no clock. */
export { type Consequence, type ErrorCode, type ErrorDefinition, errorTable, isErrorCode } from './table.ts';
export {
  assertNever,
  invariant,
  isOaasError,
  type JsonValue,
  OaasError,
  oaasError,
  type OaasErrorOptions,
  toOaasError,
} from './error.ts';
export { ExitRequest } from './exit.ts';
export { type Problem, toProblem } from './problem.ts';
export { fromGrpcStatus, type GrpcStatus, toGrpcStatus } from './grpc-status.ts';
