import type { Metadata } from 'next';
import { DeploymentsPage } from '../../../src/features/deployments/list-page.tsx';

export const metadata: Metadata = { title: 'Deployments' };

export default function Page() {
  return <DeploymentsPage />;
}
