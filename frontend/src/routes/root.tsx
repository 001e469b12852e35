import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createRootRoute, Link, Outlet } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { type Connection, followEvents } from "../api/live";
import { sessionQuery } from "../api/operations";
import { Layout } from "../components/Layout";
import { LoginForm } from "../components/LoginForm";
import { EmptyState } from "../components/EmptyState";
import { ErrorState } from "../components/ErrorState";
import { Skeleton } from "../components/Skeleton";

function Root() {
  const session = useQuery(sessionQuery);
  const cache = useQueryClient();
  const [connection, setConnection] = useState<Connection>("connecting");
  const inside = session.data?.authenticated === true;
  useEffect(() => (inside ? followEvents(cache, setConnection) : undefined), [cache, inside]);
  if (session.error && !session.data) {
    return (
      <div className="p-6">
        <ErrorState error={session.error} onRetry={() => void session.refetch()} />
      </div>
    );
  }
  if (!session.data) return <Skeleton className="m-6 h-40" />;
  if (!inside) return <LoginForm session={session.data} />;
  return (
    <Layout session={session.data} connection={connection}>
      <Outlet />
    </Layout>
  );
}

export const rootRoute = createRootRoute({
  component: Root,
  notFoundComponent: () => (
    <EmptyState icon="alert" title="There is no such page">
      <Link to="/" className="text-accent hover:underline">To the cameras</Link>
    </EmptyState>
  ),
});
