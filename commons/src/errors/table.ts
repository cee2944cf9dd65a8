/**
 * What a caller that met an error should do about it.
 *
 * - `retry`: the same call may succeed soon; try again with a growing, jittered delay.
 * - `wait`: the same call succeeds only after something else changes; look again after `retryAfterMs`.
 * - `stop`: the same call never succeeds; the input, the credentials or the program must change first.
 */
export type Consequence = 'retry' | 'wait' | 'stop';

export interface ErrorDefinition {
  /** Status code of gRPC (grpc/grpc, doc/statuscodes.md), 1..16. */
  readonly grpc: number;
  /** Status code of HTTP (RFC 9110; 499 is the customary "client closed request"). */
  readonly http: number;
  readonly consequence: Consequence;
  /** Short summary, the same for every occurrence (RFC 9457, `title`). */
  readonly title: string;
  /** What a person does about it when the error itself names no better remedy. */
  readonly remedy: string;
}

/**
 * Every error that crosses a boundary of the platform (gRPC, REST, logs, conditions) has one of these codes.
 * A code is a stable name: it is never renamed or given another meaning. `docs/errors.md` lists the same table.
 */
export const errorTable = {
  InvalidArgument: {
    grpc: 3,
    http: 400,
    consequence: 'stop',
    title: 'The request is not valid',
    remedy: 'Correct the named field and send the request again.',
  },
  NotFound: {
    grpc: 5,
    http: 404,
    consequence: 'stop',
    title: 'The resource does not exist',
    remedy: 'Check the name, or create the resource first.',
  },
  AlreadyExists: {
    grpc: 6,
    http: 409,
    consequence: 'stop',
    title: 'The resource exists already',
    remedy: 'Choose another name, or update the existing resource.',
  },
  Conflict: {
    grpc: 10,
    http: 409,
    consequence: 'retry',
    title: 'Another change came first',
    remedy: 'Read the current state and apply the change to it.',
  },
  VersionConflict: {
    grpc: 10,
    http: 409,
    consequence: 'retry',
    title: 'The object has another version than expected',
    remedy: 'Read the object again and repeat the change with its current version.',
  },
  FailedPrecondition: {
    grpc: 9,
    http: 409,
    consequence: 'wait',
    title: 'The system is not in the state that the request needs',
    remedy: 'Bring the system into the named state, then repeat the request.',
  },
  Unavailable: {
    grpc: 14,
    http: 503,
    consequence: 'retry',
    title: 'The service cannot be reached or is not ready',
    remedy: 'Wait for the service; callers retry by themselves.',
  },
  NoLeader: {
    grpc: 14,
    http: 503,
    consequence: 'retry',
    title: 'The shard has no leader or no quorum',
    remedy: 'Wait for an election; check that a majority of the members is up.',
  },
  ResourceExhausted: {
    grpc: 8,
    http: 429,
    consequence: 'wait',
    title: 'A limit is reached',
    remedy: 'Send less or slower, or raise the named limit.',
  },
  DeadlineExceeded: {
    grpc: 4,
    http: 504,
    consequence: 'retry',
    title: 'The deadline passed before the answer came',
    remedy: 'Allow more time, or find out why the answer is slow.',
  },
  Cancelled: {
    grpc: 1,
    http: 499,
    consequence: 'stop',
    title: 'The caller gave the request up',
    remedy: 'Nothing; repeat the request if it is still wanted.',
  },
  Unauthenticated: {
    grpc: 16,
    http: 401,
    consequence: 'stop',
    title: 'The caller is not known',
    remedy: 'Send a valid token or sign in.',
  },
  PermissionDenied: {
    grpc: 7,
    http: 403,
    consequence: 'stop',
    title: 'The caller may not do this',
    remedy: 'Ask an administrator for the role that the action needs.',
  },
  Unimplemented: {
    grpc: 12,
    http: 501,
    consequence: 'stop',
    title: 'The service does not offer this method',
    remedy: 'Check the versions of client and service.',
  },
  Internal: {
    grpc: 13,
    http: 500,
    consequence: 'retry',
    title: 'The service failed in an unexpected way',
    remedy: 'Search the log for the correlation id and report the defect.',
  },
  DataLoss: {
    grpc: 15,
    http: 500,
    consequence: 'stop',
    title: 'Stored data is lost or unreadable',
    remedy: 'Restore the data from a replica or a backup.',
  },
  ConfigInvalid: {
    grpc: 3,
    http: 400,
    consequence: 'stop',
    title: 'The configuration is not valid',
    remedy: 'Correct each named setting and start again.',
  },
  PackageInvalid: {
    grpc: 3,
    http: 422,
    consequence: 'stop',
    title: 'The package is not valid',
    remedy: 'Correct the named lines and commit again.',
  },
  YamlInvalid: {
    grpc: 3,
    http: 422,
    consequence: 'stop',
    title: 'The document is not valid YAML',
    remedy: 'Correct the syntax at the named line and column.',
  },
  DependencyMissing: {
    grpc: 9,
    http: 422,
    consequence: 'wait',
    title: 'A package depends on something that is not there',
    remedy: 'Add the named dependency, or remove the reference to it.',
  },
  DependencyCycle: {
    grpc: 9,
    http: 422,
    consequence: 'stop',
    title: 'Packages depend on one another in a circle',
    remedy: 'Remove one reference of the named circle.',
  },
  OwnershipConflict: {
    grpc: 9,
    http: 409,
    consequence: 'stop',
    title: 'Something else owns the resource',
    remedy: 'Remove the resource from one of the two owners.',
  },
  PruneBlocked: {
    grpc: 9,
    http: 409,
    consequence: 'wait',
    title: 'The resource may not be pruned now',
    remedy: 'Empty its shards, change the prune policy, or confirm the loss of data.',
  },
  SourceUnreachable: {
    grpc: 14,
    http: 502,
    consequence: 'retry',
    title: 'The Git repository cannot be reached',
    remedy: 'Check the URL and the network between here and the repository.',
  },
  SourceAuthFailed: {
    grpc: 9,
    http: 502,
    consequence: 'wait',
    title: 'The Git repository refused the credentials',
    remedy: 'Renew the credentials of the source.',
  },
  RefNotFound: {
    grpc: 5,
    http: 404,
    consequence: 'wait',
    title: 'The repository has no such branch, tag or commit',
    remedy: 'Push the reference, or name an existing one.',
  },
  WebhookSignatureInvalid: {
    grpc: 16,
    http: 401,
    consequence: 'stop',
    title: 'The signature of the webhook does not match',
    remedy: 'Set the same secret in the forge and in the source.',
  },
  PayloadTooLarge: {
    grpc: 8,
    http: 413,
    consequence: 'stop',
    title: 'The payload is larger than allowed',
    remedy: 'Send less at once, or raise the named limit.',
  },
  ClusterUnreachable: {
    grpc: 14,
    http: 503,
    consequence: 'retry',
    title: 'The cluster cannot be reached',
    remedy: 'Check the address and the health of the cluster.',
  },
  ShardTypeUnsupported: {
    grpc: 9,
    http: 409,
    consequence: 'stop',
    title: 'This build cannot serve the wanted kind of shard',
    remedy: 'Choose a supported shard type, or run a build that has it.',
  },
  FunctionNotFound: {
    grpc: 5,
    http: 404,
    consequence: 'stop',
    title: 'The class has no such function',
    remedy: 'Check the name against the bindings of the class.',
  },
  FunctionFailed: {
    grpc: 2,
    http: 502,
    consequence: 'stop',
    title: 'The function answered with an error',
    remedy: 'Read the message; the log of the function has the rest.',
  },
  StorageFull: {
    grpc: 8,
    http: 507,
    consequence: 'wait',
    title: 'The disk is full',
    remedy: 'Free or add disk space.',
  },
  StorageCorrupt: {
    grpc: 15,
    http: 500,
    consequence: 'stop',
    title: 'The storage cannot be read',
    remedy: 'Restore the named directory from a replica or a backup.',
  },
  StorageLocked: {
    grpc: 9,
    http: 409,
    consequence: 'wait',
    title: 'Another process uses the storage',
    remedy: 'Stop the other process, or choose another directory.',
  },
  PortInUse: {
    grpc: 9,
    http: 409,
    consequence: 'stop',
    title: 'The port is taken',
    remedy: 'Stop the other program, or choose another port.',
  },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof errorTable;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}
