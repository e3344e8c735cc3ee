#include "config/model_item.h"

#include "fixture.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

TEST(ModelItem, SplitsNameVersionEngineDevices) {
  const ModelItem full = parse_model_item(" n:v:MPI:0;1=file:/m/x ");
  EXPECT_EQ(full.name, "n");
  EXPECT_EQ(full.version, "v");
  EXPECT_EQ(full.engine, "MPI");
  EXPECT_EQ(full.devices, "0;1");
  EXPECT_EQ(full.url, "file:/m/x");
  const ModelItem engine = parse_model_item("[test::MPI]=/opt/ml/model");
  EXPECT_EQ(engine.name, "test");
  EXPECT_EQ(engine.version, "");
  EXPECT_EQ(engine.engine, "MPI");
  EXPECT_EQ(engine.url, "/opt/ml/model");
  EXPECT_EQ(parse_model_item("/m/x?a=b").url, "/m/x?a=b");
  EXPECT_EQ(parse_model_item("n=/m/x?a=b").url, "/m/x?a=b");
  EXPECT_EQ(parse_model_item("n=/m=x").url, "/m=x");
  for (const char* bad : {"", "n=", "a:b:c:d:e=/x", "[a=/x", "a]=/x"}) {
    EXPECT_EQ(failure_of([&] { parse_model_item(bad); }).kind, ErrorKind::kConfigInvalid) << bad;
  }
}

TEST(ModelItem, NamesModelsAsTheOriginal) {
  EXPECT_EQ(model_name_of_url("file:/opt/ml/model/test/"), "test");
  EXPECT_EQ(model_name_of_url("/opt/ml/model"), "model");
  EXPECT_EQ(model_name_of_url("/m/Llama-2.7b fp16"), "Llama_2_7b_fp16");
  EXPECT_EQ(model_name_of_url("/m/x.tar.gz"), "x");
  EXPECT_EQ(model_name_of_url("/m/x.zip?a=/b/c"), "x");
  EXPECT_EQ(model_name_of_url("/m/x.zip/"), "x_zip");
  EXPECT_EQ(model_name_of_url("/"), "");
  EXPECT_EQ(model_name_of_text("TheBloke/Llama-2-7B-fp16"), "TheBloke_Llama_2_7B_fp16");
  EXPECT_EQ(model_name_of_text("/opt/ml/model"), "_opt_ml_model");
}

TEST(ModelItem, FindsFoldersByPathAndFileUrl) {
  const Folder folder;
  folder.model("a b");
  for (const std::string& url :
       {std::string("a b"), "file:" + (folder / "a%20b"), "file://" + (folder / "a b"),
        folder / "a b", std::string("./a b"), std::string("x/../a b")}) {
    const ModelPlace place = find_model(url, folder.str(), {}, {});
    EXPECT_EQ(place.directory, folder / "a b") << url;
    EXPECT_EQ(place.url, "file:" + (folder / "a b")) << url;
  }
  EXPECT_EQ(find_model("a b/", folder.str(), {}, {}).url, "file:" + (folder / "a b/"));
  EXPECT_EQ(find_model("a b", "/nowhere", folder.str(), {}).directory, folder / "a b");
  const ModelPlace query = find_model("a b?option.dtype=bf16&x=%41", folder.str(), {}, {});
  EXPECT_EQ(query.arguments, (std::vector<std::pair<std::string, std::string>>{
                                 {"option.dtype", "bf16"}, {"x", "A"}}));
}

TEST(ModelItem, OneFolderInsideIsTheModel) {
  const Folder folder;
  folder.model("outer/inner");
  folder.write("outer/.hidden", "");
  EXPECT_EQ(find_model("outer", folder.str(), {}, {}).directory, folder / "outer/inner");
  folder.write("outer/another", "");
  EXPECT_EQ(find_model("outer", folder.str(), {}, {}).directory, folder / "outer");
}

TEST(ModelItem, SaysWhyAUrlCantBeLoaded) {
  const Folder folder;
  folder.write("file.bin", "");
  folder.write("flow/workflow.json", "{}");
  folder.write("flow/x", "");
  const auto kind = [&](const std::string& url) {
    const Failure failure = failure_of([&] { find_model(url, folder.str(), {}, {}); });
    EXPECT_THAT(failure.message, testing::StartsWith("Invalid model url: " + url));
    return failure.kind;
  };
  EXPECT_EQ(kind("nothing"), ErrorKind::kNotFound);
  EXPECT_EQ(kind("flow%00"), ErrorKind::kNotFound);
  folder.model("m.zip");
  EXPECT_EQ(find_model("m.zip", folder.str(), {}, {}).directory, folder / "m.zip");
  EXPECT_EQ(failure_of([&] { find_model(std::string("m.zip\0x", 7), folder.str(), {}, {}); }).kind,
            ErrorKind::kNotFound);
  EXPECT_EQ(kind("file.bin"), ErrorKind::kNotFound);
  folder.write("x.MAR", "");
  for (const char* url :
       {"s3://b/k", "https://h/m.zip", "djl://x", "jar:file:/x", "flow.yml", "flow"}) {
    EXPECT_EQ(kind(url), ErrorKind::kUnsupported) << url;
  }
  EXPECT_EQ(failure_of([&] { find_model("x.MAR", folder.str(), {}, {}); }).kind,
            ErrorKind::kUnsupported);
  EXPECT_EQ(kind("m.tar.gz"), ErrorKind::kNotFound);
  EXPECT_THAT(failure_of([&] { find_model("org/x", folder.str(), {}, {}); }).message,
              testing::HasSubstr("a model of the hub is given as option.model_id"));
}

TEST(ModelItem, ArchivesAndUrlsAreFetched) {
  const Folder folder;
  folder.write("m.tar.gz", "");
  folder.model("unpacked/inner");
  std::string fetched;
  const auto fetch = [&](const std::string& source) {
    fetched = source;
    return fs::path(folder / "unpacked");
  };
  const ModelPlace local = find_model("m.tar.gz?x=1", folder.str(), {}, fetch);
  EXPECT_EQ(fetched, folder / "m.tar.gz");
  EXPECT_EQ(local.directory, folder / "unpacked/inner");
  EXPECT_EQ(local.url, "file:" + (folder / "m.tar.gz"));
  EXPECT_EQ(local.arguments.size(), 1u);
  for (const std::string url : {"s3://b/k", "https://h/m.zip"}) {
    EXPECT_EQ(find_model(url, folder.str(), {}, fetch).url, url);
    EXPECT_EQ(fetched, url);
  }
}

TEST(ModelItem, FilesOfAModelId) {
  const Folder folder;
  folder.model("m");
  folder.write("m.zip", "");
  folder.write("m.bin", "");
  const auto find = [&](const std::string& id) {
    return find_model_files(id, {folder.str()}, "option.model_id");
  };
  EXPECT_EQ(find("m").folder, folder / "m");
  EXPECT_EQ(find("m").source, "");
  EXPECT_EQ(find("m.zip").source, folder / "m.zip");
  for (const char* id : {"s3://b/k", "https://h/m.zip", "org/name", "name"}) {
    EXPECT_EQ(find(id).source, id);
    EXPECT_TRUE(find(id).folder.empty());
  }
  EXPECT_EQ(failure_of([&] { find("m.bin"); }).kind, ErrorKind::kConfigInvalid);
  EXPECT_EQ(failure_of([&] { find("djl://x"); }).kind, ErrorKind::kUnsupported);
  for (const char* id : {"/opt/none", "./none", "a/b/c", "a--b"}) {
    EXPECT_EQ(failure_of([&] { find(id); }).kind, ErrorKind::kNotFound) << id;
  }
}

TEST(ModelStore, FoldersAreModelsUnlessAFileLiesThere) {
  const Folder folder;
  folder.model("b");
  folder.model("a/inner");
  folder.write(".hidden/config.json", "{}");
  fs::create_directories(folder / "empty");
  EXPECT_EQ(scan_model_store(folder.str(), {}),
            (std::vector<fs::path>{folder / "a/inner", folder / "b"}));
  EXPECT_EQ(scan_model_store(folder.str(), folder / "b"),
            (std::vector<fs::path>{folder / "a/inner"}));
  EXPECT_TRUE(scan_model_store(folder.str(), folder.str()).empty());
  folder.write("x.zip", "");
  EXPECT_EQ(scan_model_store(folder.str(), {}),
            (std::vector<fs::path>{folder / "a/inner", folder / "b", folder / "x.zip"}));
  folder.write("config.json", "{}");
  EXPECT_EQ(scan_model_store(folder.str(), {}), (std::vector<fs::path>{folder.str()}));
  EXPECT_TRUE(scan_model_store(folder.str(), folder.str()).empty());
}

}  // namespace
}  // namespace tensormill
