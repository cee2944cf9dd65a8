// @vitest-environment jsdom
import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';
import { Tabs } from './tabs.tsx';

afterEach(cleanup);

it('an address that names no tab shows the first one instead of nothing', () => {
  const tabs = [
    { id: 'plan', label: 'Plan', content: 'the plan' },
    { id: 'history', label: 'History', content: 'the history' },
  ];
  render(<Tabs label="Parts" tabs={tabs} value="conditions" onChange={() => undefined} />);
  expect(screen.getByRole('tabpanel').textContent).toBe('the plan');
});
