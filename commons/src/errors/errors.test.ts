import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  assertNever,
  type ErrorCode,
  errorTable,
  fromGrpcStatus,
  invariant,
  isErrorCode,
  isOaasError,
  oaasError,
  toGrpcStatus,
  toOaasError,
  toProblem,
} from './index.ts';

const codes = Object.keys(errorTable) as ErrorCode[];

describe('the table of errors', () => {
  it('uses only status codes that gRPC and HTTP define for failures', () => {
    for (const code of codes) {
      expect(errorTable[code].grpc, code).toBeGreaterThanOrEqual(1);
      expect(errorTable[code].grpc, code).toBeLessThanOrEqual(16);
      expect(errorTable[code].http, code).toBeGreaterThanOrEqual(400);
      expect(errorTable[code].http, code).toBeLessThan(600);
    }
  });

  it('is what docs/errors.md lists, line by line', () => {
    const document = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
    const rows = document.split('\n').filter((line) => line.startsWith('| `'));
    const expected = codes.map((code) => {
      const { grpc, http, consequence, title, remedy } = errorTable[code];
      return `| \`${code}\` | ${String(grpc)} | ${String(http)} | ${consequence} | ${title}. ${remedy} |`;
    });
    expect(rows).toEqual(expected);
  });

  it('does not take names of Object.prototype for codes', () => {
    expect(isErrorCode('toString')).toBe(false);
    expect(isErrorCode('NotFound')).toBe(true);
  });
});

describe('an error', () => {
  it('carries its consequence, its details and its cause', () => {
    const cause = new Error('below');
    const error = oaasError('Unavailable', 'gone', { retryAfterMs: 5, details: { node: 'a' }, remedy: 'wait', cause });
    expect(error).toMatchObject({ code: 'Unavailable', consequence: 'retry', retryAfterMs: 5, remedy: 'wait' });
    expect(error.cause).toBe(cause);
  });

  it('has no property for what was not given', () => {
    expect(Object.keys(oaasError('Internal', 'x'))).not.toContain('remedy');
  });

  it('is known by another copy of the module, which shares no class with it', () => {
    const foreign = { code: 'NotFound', message: 'x', [Symbol.for('oaas.io/error')]: true };
    expect(isOaasError(foreign)).toBe(true);
    expect(isOaasError(foreign, 'NotFound')).toBe(true);
    expect(isOaasError(foreign, 'Internal')).toBe(false);
    expect(isOaasError({ code: 'NotFound', message: 'x' })).toBe(false);
    expect(isOaasError(null)).toBe(false);
  });
});

describe('toOaasError', () => {
  it('keeps an error of the platform as it is', () => {
    const error = oaasError('NotFound', 'x');
    expect(toOaasError(error)).toBe(error);
  });

  it.each([
    [new DOMException('stop', 'AbortError'), 'Cancelled'],
    [new DOMException('late', 'TimeoutError'), 'DeadlineExceeded'],
    [Object.assign(new Error('x'), { code: 'ENOSPC' }), 'StorageFull'],
    [Object.assign(new Error('x'), { code: 'EADDRINUSE' }), 'PortInUse'],
    [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'Unavailable'],
    [new TypeError('defect'), 'Internal'],
    ['a text', 'Internal'],
    [undefined, 'Internal'],
  ])('gives %s the code %s', (thrown, code) => {
    const error = toOaasError(thrown);
    expect(error.code).toBe(code);
    expect(error.cause).toBe(thrown);
  });
});

describe('a problem document', () => {
  it('has the members of RFC 9457 and the details, but no stack', () => {
    const error = oaasError('VersionConflict', 'it is at 7', { details: { version: 7 }, retryAfterMs: 10 });
    expect(toProblem(error, { instance: '/api/v1/x' })).toEqual({
      type: 'urn:oaas:error:VersionConflict',
      title: errorTable.VersionConflict.title,
      status: 409,
      detail: 'it is at 7',
      code: 'VersionConflict',
      remedy: errorTable.VersionConflict.remedy,
      instance: '/api/v1/x',
      retryAfterMs: 10,
      version: 7,
    });
  });

  it('does not let a detail replace a standard member', () => {
    expect(toProblem(oaasError('NotFound', 'x', { details: { status: 200, code: 'Fine' } }))).toMatchObject({
      status: 404,
      code: 'NotFound',
    });
  });
});

describe('a gRPC status', () => {
  it.each(codes)('brings %s to the other side and back', (code) => {
    const sent = oaasError(code, 'message', { remedy: 'do', details: { a: [1, null] }, retryAfterMs: 7 });
    const { code: status, message, details } = toGrpcStatus(sent);
    const received = fromGrpcStatus(status, message, details);
    expect(received).toMatchObject({
      code,
      message: 'message',
      remedy: 'do',
      details: { a: [1, null] },
      retryAfterMs: 7,
    });
  });

  it('becomes the general code when the peer sends no details', () => {
    expect(fromGrpcStatus(14, 'x').code).toBe('Unavailable');
    expect(fromGrpcStatus(10, 'x').code).toBe('Conflict');
    expect(fromGrpcStatus(2, 'x').code).toBe('Internal');
    expect(fromGrpcStatus(99, 'x').code).toBe('Internal');
  });

  it('is believed over a code in the details that does not belong to it', () => {
    expect(fromGrpcStatus(7, 'x', { code: 'Unavailable' }).code).toBe('PermissionDenied');
  });

  it('survives details that are garbled', () => {
    const error = fromGrpcStatus(5, 'x', { details: '{', retryAfterMs: 'soon' });
    expect(error.code).toBe('NotFound');
    expect(error.details).toBeUndefined();
    expect(error.retryAfterMs).toBeUndefined();
  });
});

describe('assertions', () => {
  it('throw Internal when the program contradicts itself', () => {
    expect(() => invariant(false, 'order')).toThrow('invariant violated: order');
    expect(() => assertNever('x' as never)).toThrow('unexpected case: x');
  });
});
