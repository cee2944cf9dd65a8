import { Histogram as PromHistogram, Registry } from 'prom-client';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Histogram } from './histogram.ts';

const buckets = [0.1, 0.5, 1, 10];
const options = { name: 'a_seconds', help: 'A "quoted" help.', labelNames: ['method', 'code'] };

it('a registry writes the same about ours and about its own, whatever was counted', async () => {
  const value = fc.oneof(fc.constantFrom(0, -0, -1, 0.1, 0.5, 1, 10, 11), fc.double({ noNaN: true, min: -5, max: 50 }));
  const sample = fc.record({ method: fc.constantFrom('a', 'b "c"', ''), code: fc.constantFrom('0', '1'), value });
  await fc.assert(
    fc.asyncProperty(fc.array(sample, { maxLength: 40 }), async (samples) => {
      const [ours, theirs] = [new Registry(), new Registry()];
      for (const registry of [ours, theirs]) registry.setDefaultLabels({ service: 'test' });
      const own = new Histogram({ ...options, buckets }, ours);
      const reference = new PromHistogram({ ...options, buckets, registers: [theirs] });
      for (const { method, code, value: seconds } of samples) {
        own.series({ method, code }).observe(seconds);
        reference.observe({ method, code }, seconds);
      }
      expect(await ours.metrics()).toBe(await theirs.metrics());
      expect(await ours.getMetricsAsJSON()).toMatchObject([{ name: 'a_seconds', type: 'histogram' }]);
    }),
  );
});

it('what is no number is not counted', async () => {
  const registry = new Registry();
  const histogram = new Histogram({ name: 'a', help: 'A.', labelNames: [], buckets: [1] }, registry);
  histogram.series({}).observe(Number.NaN);
  histogram.series({}).observe(Number.POSITIVE_INFINITY);
  expect(await registry.metrics()).toContain('a_bucket{le="+Inf"} 1');
});
