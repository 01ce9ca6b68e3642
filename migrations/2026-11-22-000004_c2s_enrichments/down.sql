DROP TABLE c2s_enrichments;
