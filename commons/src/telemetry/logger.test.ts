import { describe, expect, it } from 'vitest';
import { oaasError } from '../errors/index.ts';
import {
  acceptCorrelationId,
  createLogger,
  currentCorrelationId,
  type LoggerOptions,
  withCorrelation,
} from './index.ts';

function setup(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'pm', destination, ...options });
  const entry = () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>;
  return { logger, lines, entry };
}

describe('the logger', () => {
  it('writes one JSON object a line with level, time, service and fields', () => {
    const { logger, entry } = setup();
    logger.info({ source: 'main' }, 'synced');
    expect(entry()).toMatchObject({ level: 'info', service: 'pm', source: 'main', msg: 'synced' });
    expect(entry()['time']).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('keeps to its level', () => {
    const { logger, lines } = setup({ level: 'warn' });
    logger.info('no');
    expect(lines).toEqual([]);
  });

  it.each([
    { token: 'hunter2' },
    { source: { password: 'hunter2' } },
    { request: { headers: { authorization: 'Bearer hunter2' } } },
    { headers: { cookie: 'hunter2' } },
  ])('never writes the secret of %j', (fields) => {
    const { logger, lines } = setup();
    logger.info(fields, 'x');
    expect(lines.join()).not.toContain('hunter2');
    expect(lines.join()).toContain('***');
  });

  it('writes the code, the details and the causes of an error', () => {
    const { logger, entry } = setup();
    const cause = new Error('refused');
    logger.error({ err: oaasError('ClusterUnreachable', 'edge', { details: { a: 1 }, cause }) }, 'failed');
    expect(entry()['err']).toMatchObject({
      code: 'ClusterUnreachable',
      details: { a: 1 },
      cause: { message: 'refused' },
    });
  });

  it('does not follow causes in a circle for ever', () => {
    const { logger, lines } = setup();
    const error = new Error('a');
    error.cause = error;
    logger.error({ err: error }, 'x');
    expect(lines).toHaveLength(1);
  });

  it('writes the same for people in short, with the stack of an error', () => {
    const { logger, lines } = setup({ pretty: true });
    logger.warn({ node: 'a', err: new Error('broken') }, 'trouble');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}pm: trouble node=a\n {2}Error: broken/);
  });
});

describe('the correlation id', () => {
  it('is on every line of what it surrounds, across awaits, and on no other', async () => {
    const { logger, entry } = setup();
    await withCorrelation('abc', async () => {
      await Promise.resolve();
      logger.info('inside');
      expect(currentCorrelationId()).toBe('abc');
    });
    expect(entry()['correlation_id']).toBe('abc');
    logger.info('outside');
    expect(entry()).not.toHaveProperty('correlation_id');
  });

  it('from outside is taken only if it may stand in a header and a log', () => {
    expect(acceptCorrelationId('req-1')).toBe('req-1');
    for (const bad of ['', 'a b', 'a\nb', 'ü', 'x'.repeat(129), undefined, 7]) {
      expect(acceptCorrelationId(bad)).toBeUndefined();
    }
  });
});
