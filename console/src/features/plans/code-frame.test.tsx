// @vitest-environment jsdom
import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, it } from 'vitest';
import { CodeFrame } from './code-frame.tsx';

afterEach(cleanup);

const problem = {
  severity: 'error',
  code: 'YamlInvalid',
  message: '',
  remedy: '',
  path: 'a.yaml',
  line: 3,
  column: 4,
} as const;

it('the lines stand with their numbers, and the mark under the column', () => {
  render(<CodeFrame problem={problem} frame={{ line: 2, lines: ['classes:', '  -key: A'] }} />);
  const lines = [...screen.getByTestId('code-frame').children].map((line) => line.textContent);
  expect(lines).toEqual(['2classes:', '3  -key: A   ^']);
  expect(screen.getByRole('region').getAttribute('aria-label')).toBe('Lines 2 to 3 of a.yaml');
});

it('a column that was cut away is not pointed at', () => {
  render(<CodeFrame problem={{ ...problem, line: 1, column: 500 }} frame={{ line: 1, lines: ['short…'] }} />);
  expect(screen.getByTestId('code-frame').textContent).toBe('1short…');
});
