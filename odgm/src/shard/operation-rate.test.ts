import { expect, it } from 'vitest';
import { OperationRate } from './operation-rate.ts';

it('tells the operations of the last whole interval, none before, and none when there were none', () => {
  const rate = new OperationRate();
  rate.count += 50;
  expect(rate.perSecond).toBe(0);
  rate.sample(5);
  rate.count += 7;
  expect(rate.perSecond).toBe(10);
  rate.sample(10);
  expect(rate.perSecond).toBe(0.7);
  rate.sample(5);
  expect(rate.perSecond).toBe(0);
});
