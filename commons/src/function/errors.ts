import type { JsonValue } from '../errors/index.ts';

/** A refusal by the function's own rules. The caller gets status APP_ERROR with the message and the details. */
export class AppError extends Error {
  readonly details?: Readonly<Record<string, JsonValue>>;

  constructor(message: string, details?: Readonly<Record<string, JsonValue>>) {
    super(message);
    this.name = 'AppError';
    if (details !== undefined) this.details = details;
  }
}

/** The request cannot be understood. The caller gets status INVALID_REQUEST with the message. */
export class InvalidRequest extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidRequest';
  }
}
