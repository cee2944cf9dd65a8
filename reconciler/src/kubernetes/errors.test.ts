import { describe, expect, it } from 'vitest';
import { fieldConflicts, isExpired, kubeReason, statusError } from './errors.ts';

const status = (reason: string, code: number, more: object = {}) =>
  statusError(code, JSON.stringify({ kind: 'Status', reason, message: 'why', ...more }), undefined, 'GET /x');

describe('statusError', () => {
  it.each([
    ['NotFound', 404, 'NotFound', 'stop'],
    ['AlreadyExists', 409, 'AlreadyExists', 'stop'],
    ['Conflict', 409, 'Conflict', 'retry'],
    ['Invalid', 422, 'InvalidArgument', 'stop'],
    ['Forbidden', 403, 'PermissionDenied', 'stop'],
    ['TooManyRequests', 429, 'Unavailable', 'retry'],
    ['InternalError', 500, 'Unavailable', 'retry'],
    ['Timeout', 504, 'DeadlineExceeded', 'retry'],
  ])('reads %s (%i) as %s, which means %s', (reason, code, expected, consequence) => {
    const error = status(reason, code);
    expect([error.code, error.consequence, kubeReason(error)]).toEqual([expected, consequence, reason]);
  });

  it('knows both ways in which a server says that a version is too old', () => {
    expect(isExpired(status('Expired', 410))).toBe(true);
    expect(isExpired(status('Gone', 410))).toBe(true);
    expect(isExpired(status('NotFound', 404))).toBe(false);
  });

  it('waits as long as the server asks for', () => {
    expect(statusError(429, 'slow down', '7', 'GET /x').retryAfterMs).toBe(7000);
    expect(status('TooManyRequests', 429, { details: { retryAfterSeconds: 1 } }).retryAfterMs).toBe(1000);
  });

  it('names the fields of an apply that others own', () => {
    const causes = [{ reason: 'FieldManagerConflict', field: '.data.x', message: 'conflict with "kubectl"' }];
    expect(fieldConflicts(status('Conflict', 409, { details: { causes } }))).toEqual([
      '.data.x (conflict with "kubectl")',
    ]);
    expect(fieldConflicts(status('Conflict', 409))).toEqual([]);
  });

  it('does not trust an answer that is no Status', () => {
    expect(statusError(502, '<html>bad gateway</html>', undefined, 'GET /x').code).toBe('Unavailable');
  });
});
